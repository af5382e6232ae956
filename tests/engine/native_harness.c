/* Runs the kernel on layers of many shapes in memory of exactly the right size, for the sanitizers to watch. */

#include "native.c"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned int state = 1;

static int below(int limit)
{
    state = state * 1664525u + 1013904223u;
    return (int)((state >> 8) % (unsigned int)limit);
}

static float *floats(int64_t count)
{
    float *array = malloc((count ? count : 1) * sizeof(float));
    for (int64_t i = 0; i < count; i++)
        array[i] = (below(2001) - 1000) / 1000.0f;
    return array;
}

static void require_finite(const float *array, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(array[i])) {
            fprintf(stderr, "a value is not finite\n");
            exit(1);
        }
}

static void run(int level, int cell, int variant)
{
    const int units = 1 + below(40), features = 1 + below(20), reviews = 1 + below(30), steps = 1 + below(10);
    const int words = variant & 1 ? 1 + below(60) : 0, gates = cell == LSTM ? 4 : cell == GRU ? 3 : 1;
    const int64_t rows = (int64_t)reviews * steps, columns = (int64_t)gates * units;
    const int64_t sources = words ? words : rows, biases = cell == GRU ? 2 * columns : columns;
    int32_t *lengths = malloc(reviews * sizeof(int32_t)), *tokens = malloc(rows * sizeof(int32_t));
    for (int i = 0; i < reviews; i++)
        lengths[i] = 1 + below(steps);
    for (int64_t i = 0; i < rows; i++)
        tokens[i] = words ? below(words) : 0;
    float *arrays[19];
    const int64_t sizes[19] = {sources * features, features * columns, units * columns, biases,
                               (int64_t)reviews * features, (int64_t)reviews * units, (int64_t)reviews * units,
                               (int64_t)reviews * units, rows * units, rows * units,
                               (int64_t)reviews * units, rows * units, rows * units,
                               sources * features, features * columns, units * columns, biases,
                               (int64_t)reviews * units, (int64_t)reviews * units};
    for (int i = 0; i < 19; i++)
        arrays[i] = floats(sizes[i]);
    Layer layer = {.cell = cell, .units = units, .features = features, .reverse = variant >> 1 & 1,
                   .reviews = reviews, .steps = steps, .words = words, .keep = 1, .threads = 1 + below(4),
                   .lengths = lengths, .tokens = tokens, .inputs = arrays[0], .kernel = arrays[1],
                   .recurrent = arrays[2], .bias = arrays[3], .scale = variant & 4 ? arrays[4] : 0,
                   .initial = variant & 8 ? arrays[5] : 0, .initial_carry = variant & 8 ? arrays[6] : 0,
                   .last = arrays[7], .states = arrays[8], .carries = cell == LSTM ? arrays[9] : 0,
                   .d_last = arrays[10], .d_states = arrays[11], .d_carries = cell == LSTM ? arrays[12] : 0,
                   .d_inputs = arrays[13], .d_kernel = arrays[14], .d_recurrent = arrays[15], .d_bias = arrays[16],
                   .d_initial = arrays[17], .d_initial_carry = arrays[18]};
    layer.workspace = malloc(rnnsent_workspace(level, &layer));
    rnnsent_forward(level, &layer);
    rnnsent_backward(level, &layer);
    for (int i = 7; i < 19; i++)
        require_finite(arrays[i], sizes[i]);
    free(layer.workspace);
    layer.keep = 0;
    layer.workspace = malloc(rnnsent_workspace(level, &layer));
    rnnsent_forward(level, &layer);
    free(layer.workspace);
    for (int i = 0; i < 19; i++)
        free(arrays[i]);
    free(lengths);
    free(tokens);
}

int main(void)
{
    int passes = 0;
    for (int level = 0; level <= 2; level++)
        for (int cell = 0; cell < 3; cell++)
            for (int variant = 0; variant < 20; variant++, passes++)
                run(level <= rnnsent_best() ? level : 0, cell, variant);
    printf("passes: %d\n", passes);
    return 0;
}
