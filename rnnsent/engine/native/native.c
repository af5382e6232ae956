/* SimpleRNN, LSTM and GRU on a CPU, for every instruction set in one library; Python reaches it through ctypes.

   The .inc files are compiled once per instruction set, with names of their own; which one runs is decided when the
   library is first used. */

#define _GNU_SOURCE /* which core a thread runs on */
#include "layer.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define GROUP 12        /* the most reviews that step together: whole tiles of either height */
#define WORD_BLOCK 48   /* words whose products are made together, in the first cache */
#define OUTER_BLOCK 32  /* rows of an outer product that stay in the first cache */
#define SUM_BLOCK 32    /* terms of a sum that are added up before they join the rest of it */
#define MAX_THREADS 64

/* Gradients that fade over hundreds of steps end in denormal numbers, which are zero to training and cost a hundred
   cycles each: they are flushed while a thread is at work. */
#ifdef __x86_64__
static unsigned int flush_denormals(void)
{
    const unsigned int mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040); /* flush to zero, denormals are zero */
    return mode;
}

static void restore_denormals(unsigned int mode)
{
    _mm_setcsr(mode);
}
#else
static unsigned int flush_denormals(void) { return 0; }
static void restore_denormals(unsigned int mode) { (void)mode; }
#endif

/* Some schedulers start a thread on the core of its parent, which then does the work of both for milliseconds, longer
   than a pass takes. */
#ifdef __GLIBC__
static void keep_off_this_core(pthread_attr_t *attributes)
{
    cpu_set_t cores;
    if (pthread_getaffinity_np(pthread_self(), sizeof cores, &cores))
        return;
    CPU_CLR(sched_getcpu(), &cores);
    if (CPU_COUNT(&cores))
        pthread_attr_setaffinity_np(attributes, sizeof cores, &cores);
}
#else
static void keep_off_this_core(pthread_attr_t *attributes) { (void)attributes; }
#endif

#define PASTE(name, suffix) rnnsent_##name##_##suffix
#define EXPAND(name, suffix) PASTE(name, suffix)
#define NAME(name) EXPAND(name, SUFFIX)

/* CLAMP(x, limit): x within ± limit, NaN where x is NaN. */
#define SUFFIX plain
#define WIDTH 4
#define TILE_ROWS 6
#ifdef __x86_64__
#define CLAMP(x, limit) ((vec)_mm_max_ps(_mm_set1_ps(-(limit)), _mm_min_ps(_mm_set1_ps(limit), (__m128)(x))))
#else
static inline float clamp(float x, float limit) { return x > limit ? limit : x < -limit ? -limit : x; }
#define CLAMP(x, limit) ((vec){clamp(x[0], limit), clamp(x[1], limit), clamp(x[2], limit), clamp(x[3], limit)})
#endif
#include "level.inc"

#ifdef __x86_64__
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define SUFFIX avx2
#define WIDTH 8
#define TILE_ROWS 6
#define CLAMP(x, limit) ((vec)_mm256_max_ps(_mm256_set1_ps(-(limit)), _mm256_min_ps(_mm256_set1_ps(limit), (__m256)(x))))
#include "level.inc"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,fma,prefer-vector-width=512")
#define SUFFIX avx512
#define WIDTH 16
#define TILE_ROWS 12
#define CLAMP(x, limit) ((vec)_mm512_max_ps(_mm512_set1_ps(-(limit)), _mm512_min_ps(_mm512_set1_ps(limit), (__m512)(x))))
#include "level.inc"
#pragma GCC pop_options
#endif

#define EXPORT __attribute__((visibility("default")))

/* The best instruction set of this machine: 0 plain, 1 AVX2, 2 AVX-512. */
EXPORT int rnnsent_best(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return 1;
#endif
    return 0;
}

#ifdef __x86_64__
#define DISPATCH(function, level, layer) \
    ((level) == 2 ? function##_avx512(layer) : (level) == 1 ? function##_avx2(layer) : function##_plain(layer))
#else
#define DISPATCH(function, level, layer) ((void)(level), function##_plain(layer))
#endif

/* Bytes of workspace that this layer needs, at this level. */
EXPORT int64_t rnnsent_workspace(int level, const Layer *layer)
{
    Layer nowhere = *layer;
    nowhere.workspace = 0;
    return DISPATCH(rnnsent_workspace, level, &nowhere);
}

/* Flush denormals in the calling thread from now on; returns what `rnnsent_restore` takes back. */
EXPORT unsigned int rnnsent_flush(void)
{
    return flush_denormals();
}

EXPORT void rnnsent_restore(unsigned int mode)
{
    restore_denormals(mode);
}

EXPORT void rnnsent_forward(int level, const Layer *layer)
{
    DISPATCH(rnnsent_forward, level, layer);
}

EXPORT void rnnsent_backward(int level, const Layer *layer)
{
    DISPATCH(rnnsent_backward, level, layer);
}
