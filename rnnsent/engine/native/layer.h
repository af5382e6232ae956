/* What Python hands over: one recurrent layer, one direction, one padded batch. All floats are float32, row-major. */
#ifndef RNNSENT_LAYER_H
#define RNNSENT_LAYER_H

#include <stdint.h>

enum { SIMPLE_RNN, LSTM, GRU };

typedef struct {
    int32_t cell;     /* SIMPLE_RNN, LSTM or GRU (reset_after) */
    int32_t units;
    int32_t features; /* of one input vector */
    int32_t reverse;  /* read each review from its last word to its first */
    int32_t reviews;
    int32_t steps;    /* padded length; row = review * steps + step */
    int32_t words;    /* rows of the embedding, or 0 where the inputs are vectors already */
    int32_t keep;     /* forward: keep what backward needs */
    int32_t threads;
    int32_t unused;

    const int32_t *lengths;      /* (reviews), 1 … steps */
    const int32_t *tokens;       /* (reviews, steps); only with an embedding */
    const float *inputs;         /* (words, features), or (reviews, steps, features) */
    const float *kernel;         /* (features, gates * units), gates in Keras' order */
    const float *recurrent;      /* (units, gates * units) */
    const float *bias;           /* (gates * units); GRU: (2, 3 * units), input's and recurrent's */
    const float *scale;          /* (reviews, features) or NULL: what each input vector is multiplied by; dropout */
    const float *initial;        /* (reviews, units) or NULL: zeros */
    const float *initial_carry;  /* (reviews, units) or NULL: zeros; LSTM's cell state */

    /* Written by forward. Rows of padding are left as they are. */
    float *last;                 /* (reviews, units) */
    float *states;               /* (reviews, steps, units) or NULL */
    float *carries;              /* (reviews, steps, units) or NULL; LSTM */

    /* Read by backward; NULL: zeros. */
    const float *d_last, *d_states, *d_carries;
    /* Written by backward. d_inputs must be zeroed by the caller where no word stands. */
    float *d_inputs, *d_kernel, *d_recurrent, *d_bias, *d_initial, *d_initial_carry;

    void *workspace; /* from forward to backward; as large as rnnsent_workspace says */
} Layer;

#endif
