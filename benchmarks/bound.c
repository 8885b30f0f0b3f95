/* The bound: a counter-based generator, one look-up in a table of 1,024 cells, a sum; nothing of a simulation.

   Every variant draws Philox4x32-10 and sums floor + width * t exactly as the kernel does, in integers. The benchmark
   compiles them on the spot and takes the quickest. */
#include <stdint.h>
#include <stddef.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define BLOCKS 256
#define WORDS (4 * BLOCKS)
#define MASK 0xFFFFFFFFull
#define PARTS 0x3FFFFFull
#define M0 0xD2511F53ull
#define M1 0xCD9E8D57ull
#define W0 0x9E3779B9ull
#define W1 0xBB67AE85ull

typedef uint64_t u64;

static void philox(u64 *restrict words, u64 first, u64 c1, u64 k0, u64 k1)
{
    for (int j = 0; j < BLOCKS; j++) {
        u64 x0 = (first + (u64)j) & MASK, x1 = c1, x2 = 0, x3 = 0, r0 = k0, r1 = k1;
#pragma GCC unroll 10
        for (int round = 0; round < 10; round++) {
            u64 p0 = M0 * x0, p1 = M1 * x2;
            x0 = (p1 >> 32) ^ x1 ^ r0;
            x1 = p1 & MASK;
            x2 = (p0 >> 32) ^ x3 ^ r1;
            x3 = p0 & MASK;
            r0 = (r0 + W0) & MASK;
            r1 = (r1 + W1) & MASK;
        }
        words[j] = x0;
        words[BLOCKS + j] = x1;
        words[2 * BLOCKS + j] = x2;
        words[3 * BLOCKS + j] = x3;
    }
}

static u64 look_up(const u64 *table, const u64 *words)
{
    u64 floors = 0, parts = 0;
    for (int j = 0; j < WORDS; j++) {
        u64 cell = table[words[j] >> 22];
        floors += cell >> 32;
        parts += (cell & MASK) * (words[j] & PARTS);
    }
    return floors + (parts >> 22);
}

/* Sum of at least `count` draws: whole buffers. */
u64 plain(const u64 *table, u64 count, u64 key)
{
    u64 words[WORDS], total = 0;
    for (u64 block = 0; 4 * block < count; block += BLOCKS) {
        philox(words, block, 1, key, 0);
        total += look_up(table, words);
    }
    return total;
}

#ifdef __AVX512F__
#define LANES 8

/* Two vectors at a time; a product reads only the low halves, so they are masked once, at the end. */
static inline void philox_pairs(u64 *restrict words, u64 first, u64 c1, u64 k0, u64 k1)
{
    const __m512i m0 = _mm512_set1_epi64(M0), m1 = _mm512_set1_epi64(M1), low = _mm512_set1_epi64(MASK);
    const __m512i lanes = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    for (int j = 0; j < BLOCKS; j += 2 * LANES) {
        __m512i x0[2], x1[2], x2[2], x3[2];
        u64 r0 = k0, r1 = k1;
#pragma GCC unroll 2
        for (int v = 0; v < 2; v++) {
            x0[v] = _mm512_add_epi64(lanes, _mm512_set1_epi64((long long)(first + (u64)(j + v * LANES))));
            x1[v] = _mm512_set1_epi64((long long)c1);
            x2[v] = x3[v] = _mm512_setzero_si512();
        }
#pragma GCC unroll 10
        for (int round = 0; round < 10; round++) {
            const __m512i a = _mm512_set1_epi64((long long)r0), b = _mm512_set1_epi64((long long)r1);
#pragma GCC unroll 2
            for (int v = 0; v < 2; v++) {
                const __m512i p0 = _mm512_mul_epu32(m0, x0[v]), p1 = _mm512_mul_epu32(m1, x2[v]);
                x0[v] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), x1[v], a, 150);
                x2[v] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), x3[v], b, 150);
                x1[v] = p1;
                x3[v] = p0;
            }
            r0 = (r0 + W0) & MASK;
            r1 = (r1 + W1) & MASK;
        }
#pragma GCC unroll 2
        for (int v = 0; v < 2; v++) {
            u64 *at = words + j + v * LANES;
            _mm512_storeu_si512(at, _mm512_and_si512(x0[v], low));
            _mm512_storeu_si512(at + BLOCKS, _mm512_and_si512(x1[v], low));
            _mm512_storeu_si512(at + 2 * BLOCKS, _mm512_and_si512(x2[v], low));
            _mm512_storeu_si512(at + 3 * BLOCKS, _mm512_and_si512(x3[v], low));
        }
    }
}

static inline __m128i two_cells(const u64 *table, const u64 *words)
{
    const __m128d one = _mm_load_sd((const double *)(table + (words[0] >> 22)));
    return _mm_castpd_si128(_mm_loadh_pd(one, (const double *)(table + (words[1] >> 22))));
}

/* Eight cells by scalar loads, which many cores do quicker than a gather. */
static inline __m512i loaded_cells(const u64 *table, const u64 *words)
{
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(two_cells(table, words)), two_cells(table, words + 2), 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(two_cells(table, words + 4)), two_cells(table, words + 6), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

static inline __m512i gathered_cells(const u64 *table, const u64 *words)
{
    const __m512i index = _mm512_srli_epi64(_mm512_loadu_si512(words), 22);
    return _mm512_mask_i64gather_epi64(_mm512_setzero_si512(), 0xFF, index, table, 8);
}

#define BY_VECTORS(name, cells)                                                                                        \
    u64 name(const u64 *table, u64 count, u64 key)                                                                     \
    {                                                                                                                  \
        u64 words[WORDS], total = 0;                                                                                   \
        const __m512i parts_mask = _mm512_set1_epi64(PARTS);                                                           \
        for (u64 block = 0; 4 * block < count; block += BLOCKS) {                                                      \
            __m512i floors[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};                                      \
            __m512i parts[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};                                       \
            philox_pairs(words, block, 1, key, 0);                                                                     \
            for (int j = 0; j < WORDS; j += 2 * LANES)                                                                 \
                for (int v = 0; v < 2; v++) {                                                                          \
                    const u64 *at = words + j + v * LANES;                                                             \
                    const __m512i cell = cells(table, at);                                                             \
                    const __m512i t = _mm512_and_si512(_mm512_loadu_si512(at), parts_mask);                            \
                    floors[v] = _mm512_add_epi64(floors[v], _mm512_srli_epi64(cell, 32));                              \
                    parts[v] = _mm512_add_epi64(parts[v], _mm512_mul_epu32(cell, t));                                  \
                }                                                                                                      \
            total += (u64)_mm512_reduce_add_epi64(_mm512_add_epi64(floors[0], floors[1]));                             \
            total += (u64)_mm512_reduce_add_epi64(_mm512_add_epi64(parts[0], parts[1])) >> 22;                         \
        }                                                                                                              \
        return total;                                                                                                  \
    }

BY_VECTORS(vectors_loads, loaded_cells)
BY_VECTORS(vectors_gather, gathered_cells)

u64 only_numbers(const u64 *table, u64 count, u64 key)
{
    u64 words[WORDS], total = table[0];
    for (u64 block = 0; 4 * block < count; block += BLOCKS) {
        philox_pairs(words, block, 1, key, 0);
        total += words[block % WORDS];
    }
    return total;
}
#endif
