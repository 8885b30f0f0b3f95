"""The loops that draw, and nothing else: Philox4x32-10, exact counts, body claims or their sum, large claims.

Every draw is a pure function of the seed and of a counter, so the order, the chunking and the machine's number of
cores cannot change it. A counter has four words:

    block, purpose · 2²⁴ + stream, replicate, increment

where *stream* is the segment (or rare service, or shock) and *increment* the step from one population size to the next
(or the unit). Of several years each has its own: the high byte of the fourth word is (year − 1) mod 256.
No two draws can share a counter, and a longer list of sizes leaves the earlier draws as they are.

Everything jitted stands in this one file, since numba's cache on disk does not see changes in other files. With
``NUMBA_DISABLE_JIT=1`` the same bodies run as plain Python and give the same bits.

References
----------
.. [1] Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3. SC11.
.. [2] Hörmann (1993), The generation of binomial random variates. J Stat Comput Simul 46:101-110 (BTRS).
.. [3] Hörmann (1993), The transformed rejection method for generating Poisson random variables.
       Insurance: Mathematics and Economics 12:39-45 (PTRS).
.. [4] Wichura (1988), The percentage points of the normal distribution. Applied Statistics 37:477-484 (PPND16).
.. [5] Marsaglia, Tsang (2000), A simple method for generating gamma variables. ACM TOMS 26:363-372.
"""

from __future__ import annotations

import math

import numpy as np

from ..costs.sums import DEGREE, PIECES, SCORES
from ..costs.tables import BODY_CELLS, CELLS_PER_OCTAVE, TAIL_OCTAVES
from .compiled import compiled, drop_damaged_cache

# Purposes: the third argument of every stream. Append; never renumber.
USERS = 1  # who has any cost
LARGE = 2  # which users are large claims
BODY = 3  # cost of a user below the cut
TAIL = 4  # cost of a large claim
EVENTS = 5  # number of events of a rare service
MEMBERSHIP = 6  # case mix, where it is drawn
SHOCK = 7  # common shocks; streams from 1,000 on: epidemics of a stress
QUALITY = 8  # quality and outcome scores, drawn when a ledger is settled
ACTIVITY = 9  # activity shares between providers, drawn when a ledger is settled
BASELINE = 10  # error of a budget's baseline, drawn when a ledger is settled
SUMS = 11  # cost of many users below the cut together
STATES = 12  # who goes on into which state of the next year, or comes from which of the last
SERVICES = 13  # how costs divide among services; streams from 2²³ on: their yearly factors, drawn when settled

BODY_CELLS_LOG2 = BODY_CELLS.bit_length() - 1
CELLS_PER_OCTAVE_LOG2 = CELLS_PER_OCTAVE.bit_length() - 1

PEOPLE, IN_SCOPE, OUT_OF_SCOPE = 0, 1, 2  # kinds of stream: a segment, or a rare service


_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_24 = np.uint64(24)

_BLOCKS = 256
_WORDS = 4 * _BLOCKS
_T_BITS = np.uint64(32 - BODY_CELLS_LOG2)
_T_MASK = np.uint64((1 << (32 - BODY_CELLS_LOG2)) - 1)

_TAIL_SHIFT = np.uint64(52 - CELLS_PER_OCTAVE_LOG2)
_TAIL_FIRST = ((1023 - TAIL_OCTAVES) << CELLS_PER_OCTAVE_LOG2) - 1  # cell 0 takes all that lies below 2^-TAIL_OCTAVES
_TAIL_FRACTION = np.uint64((1 << (52 - CELLS_PER_OCTAVE_LOG2)) - 1)
_TAIL_STEP = 2.0 ** -(52 - CELLS_PER_OCTAVE_LOG2)
_TAIL_BOTTOM = 2.0**-TAIL_OCTAVES
_TWO_64 = 2.0**-64
_TWO_52 = 2.0**-52  # with half a step added, the largest uniform is still below 1
_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
_BELOW_ONE = 1.0 - 2.0**-53
_FEW = 10.0  # expected count from which on binomials and Poissons are drawn by rejection
_PIECES_A_SCORE = PIECES / (2.0 * SCORES)
_AT_ONCE = 32


@compiled
def philox(words, blocks, c0, c1, c2, c3, k0, k1):
    """Fill `words` (4 quarters of `blocks`) with Philox4x32-10 of the counters c0, c0 + 1, …; uint64 throughout."""
    for j in range(blocks):
        x0 = (c0 + np.uint64(j)) & _LOW
        x1 = c1
        x2 = c2
        x3 = c3
        r0 = k0
        r1 = k1
        for _ in range(10):
            p0 = _M0 * x0
            p1 = _M1 * x2
            x0 = (p1 >> _32) ^ x1 ^ r0
            x1 = p1 & _LOW
            x2 = (p0 >> _32) ^ x3 ^ r1
            x3 = p0 & _LOW
            r0 = (r0 + _W0) & _LOW
            r1 = (r1 + _W1) & _LOW
        words[j] = x0
        words[blocks + j] = x1
        words[2 * blocks + j] = x2
        words[3 * blocks + j] = x3


@compiled
def _uniform(words, position, c1, c2, c3, k0, k1):
    """The uniform in (0, 1) at `position` of a stream, 52 bits, two a block; `words` is scratch of length 4."""
    if position & 1 == 0:
        philox(words, 1, np.uint64(position >> 1), c1, c2, c3, k0, k1)
        high, low = words[0], words[1]
    else:
        high, low = words[2], words[3]
    return (float(((high << _32) | low) >> np.uint64(12)) + 0.5) * _TWO_52


@compiled
def _pair(block, c1, c2, c3, k0, k1):
    """The two uniforms of one block of a stream: without an array, whose references would be counted at each call."""
    x0 = np.uint64(block)
    x1, x2, x3, r0, r1 = c1, c2, c3, k0, k1
    for _ in range(10):
        p0 = _M0 * x0
        p1 = _M1 * x2
        x0 = (p1 >> _32) ^ x1 ^ r0
        x1 = p1 & _LOW
        x2 = (p0 >> _32) ^ x3 ^ r1
        x3 = p0 & _LOW
        r0 = (r0 + _W0) & _LOW
        r1 = (r1 + _W1) & _LOW
    u = (float(((x0 << _32) | x1) >> np.uint64(12)) + 0.5) * _TWO_52
    return u, (float(((x2 << _32) | x3) >> np.uint64(12)) + 0.5) * _TWO_52


@compiled
def uniforms_into(out, purpose, stream, replicates, last, k0, k1):
    """Fill `out` (replicate, position) with the uniforms of one stream."""
    words = np.empty(4, np.uint64)
    c1 = (np.uint64(purpose) << _24) | np.uint64(stream)
    for r in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[r, j] = _uniform(words, j, c1, np.uint64(replicates[r]), last, k0, k1)


@compiled
def _stirling_tail(k):
    """log k! less Stirling's first terms."""
    if k < 10:
        if k < 1:
            return 0.08106146679532726
        if k < 2:
            return 0.04134069595540929
        if k < 3:
            return 0.02767792568499834
        if k < 4:
            return 0.02079067210376509
        if k < 5:
            return 0.01664469118982119
        if k < 6:
            return 0.01387612882307075
        if k < 7:
            return 0.01189670994589177
        if k < 8:
            return 0.01041126526197209
        if k < 9:
            return 0.009255462182712733
        return 0.008330563433362871
    square = (k + 1.0) * (k + 1.0)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1.0)


@compiled
def binomial(n, p, c1, c2, c3, k0, k1):
    """An exact binomial(n, p) from the stream (c1, c2, c3): inversion while n·min(p, 1 − p) < 10, else BTRS [2]_."""
    if n <= 0 or p <= 0.0:
        return 0
    if p >= 1.0:
        return n
    u = _pair(0, c1, c2, c3, k0, k1)[0] if _is_few(n, p) else 0.0
    small = p if p <= 0.5 else 1.0 - p
    return _binomial(u, n, p, small / (1.0 - small), math.log1p(-small), c1, c2, c3, k0, k1)


@compiled
def _is_few(n, p):
    """Whether so few are expected, on the nearer side of one half, that a count is drawn by inversion."""
    return 0 < n * min(p, 1.0 - p) < _FEW


@compiled
def _binomial(u, n, p, odds, log_rest, c1, c2, c3, k0, k1):
    """A binomial whose uniform, if it is of few, and odds and log(1 − p), on the nearer side of one half, are known."""
    if n <= 0 or p <= 0.0:
        return 0
    if p >= 1.0:
        return n
    small = p if p <= 0.5 else 1.0 - p
    if n * small >= _FEW:
        k = _binomial_by_rejection(n, small, c1, c2, c3, k0, k1)
    elif u <= 1.0 - n * small:  # no more than the chance of none
        k = 0
    else:
        k = _binomial_by_inversion(u, n, odds, math.exp(n * log_rest), c1, c2, c3, k0, k1)
    return k if p <= 0.5 else n - k


@compiled
def _binomial_by_inversion(left, n, odds, first, c1, c2, c3, k0, k1):
    """From the uniform `left`; `first` is the chance of none."""
    block = 1
    while True:
        chance = first
        for k in range(min(n, 110) + 1):
            if left <= chance:
                return k
            left -= chance
            chance *= odds * (n - k) / (k + 1.0)
        # what is left is below 1e-16 of probability (rounding): draw again
        left = _pair(block, c1, c2, c3, k0, k1)[0]
        block += 1


@compiled
def _binomial_by_rejection(n, p, c1, c2, c3, k0, k1):
    spread = math.sqrt(n * p * (1.0 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    centre = n * p + 0.5
    v_r = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * spread
    block = 1  # the first is for counts of few
    while True:
        u, v = _pair(block, c1, c2, c3, k0, k1)
        u -= 0.5
        block += 1
        us = 0.5 - abs(u)
        k = math.floor((2.0 * a / us + b) * u + centre)
        if k < 0 or k > n:
            continue
        if us >= 0.07 and v <= v_r:
            return int(k)
        log_odds = math.log(p / (1.0 - p))
        mode = math.floor((n + 1) * p)
        at_mode = (
            (mode + 0.5) * math.log((mode + 1.0) / (n - mode + 1.0)) + _stirling_tail(mode) + _stirling_tail(n - mode)
        )
        v = math.log(v * alpha / (a / (us * us) + b))
        bound = (
            at_mode
            + (n + 1.0) * math.log((n - mode + 1.0) / (n - k + 1.0))
            + (k + 0.5) * math.log((n - k + 1.0) / (k + 1.0))
            + (k - mode) * log_odds
            - _stirling_tail(k)
            - _stirling_tail(n - k)
        )
        if v <= bound:
            return int(k)


@compiled
def poisson(mean, c1, c2, c3, k0, k1):
    """An exact Poisson(mean) from the stream (c1, c2, c3): inversion below a mean of 10, else PTRS [3]_."""
    if mean <= 0.0:
        return 0
    if mean < 10.0:
        return _poisson_by_inversion(mean, c1, c2, c3, k0, k1)
    return _poisson_by_rejection(mean, c1, c2, c3, k0, k1)


@compiled
def _poisson_by_inversion(mean, c1, c2, c3, k0, k1):
    first = math.exp(-mean)
    block = 0
    while True:
        left = _pair(block, c1, c2, c3, k0, k1)[0]
        block += 1
        chance = first
        for k in range(111):
            if left <= chance:
                return k
            left -= chance
            chance *= mean / (k + 1.0)


@compiled
def _poisson_by_rejection(mean, c1, c2, c3, k0, k1):
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2.0)
    block = 0
    while True:
        u, v = _pair(block, c1, c2, c3, k0, k1)
        u -= 0.5
        block += 1
        us = 0.5 - abs(u)
        k = math.floor((2.0 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= v_r:
            return int(k)
        if k < 0 or (us < 0.013 and v > us):
            continue
        left = math.log(v * inverse_alpha / (a / (us * us) + b))
        log_factorial = (k + 0.5) * math.log(k + 1.0) - (k + 1.0) + _HALF_LOG_TWO_PI + _stirling_tail(k)
        if left <= k * math.log(mean) - mean - log_factorial:
            return int(k)


@compiled
def _body_sum(words, body, stream, count, c1, c2, c3, k0, k1):
    """Σ of `count` body claims in units of the table: (2³² cells high, 2²² parts of the low word low)."""
    total = np.uint64(0)
    block = 0
    while count > 0:
        n = min(count, _WORDS)
        blocks = ((n + 15) >> 4) << 2
        philox(words, blocks, np.uint64(block), c1, c2, c3, k0, k1)
        floor_sum = np.uint64(0)
        part_sum = np.uint64(0)
        for j in range(n):
            word = words[j]
            cell = body[stream, word >> _T_BITS]
            floor_sum += cell >> _32
            part_sum += (cell & _LOW) * (word & _T_MASK)
        total += floor_sum + (part_sum >> _T_BITS)
        block += blocks
        count -= n
    return total


@compiled
def score(u):
    """The normal score of a uniform in (0, 1), to some 1e-16 of it [4]_."""
    q = u - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        above = (((((((2.5090809287301226727e3 * r + 3.3430575583588128105e4) * r + 6.7265770927008700853e4) * r
                + 4.5921953931549871457e4) * r + 1.3731693765509461125e4) * r + 1.9715909503065514427e3) * r
                + 1.3314166789178437745e2) * r + 3.3871328727963666080e0)  # fmt: skip
        below = (((((((5.2264952788528545610e3 * r + 2.8729085735721942674e4) * r + 3.9307895800092710610e4) * r
                + 2.1213794301586595867e4) * r + 5.3941960214247511077e3) * r + 6.8718700749205790830e2) * r
                + 4.2313330701600911252e1) * r + 1.0)  # fmt: skip
        return q * above / below
    r = math.sqrt(-math.log(u if q < 0.0 else 1.0 - u))
    if r <= 5.0:
        r -= 1.6
        above = (((((((7.74545014278341407640e-4 * r + 2.27238449892691845833e-2) * r + 2.41780725177450611770e-1) * r
                + 1.27045825245236838258e0) * r + 3.64784832476320460504e0) * r + 5.76949722146069140550e0) * r
                + 4.63033784615654529590e0) * r + 1.42343711074968357734e0)  # fmt: skip
        below = (((((((1.05075007164441684324e-9 * r + 5.47593808499534494600e-4) * r + 1.51986665636164571966e-2) * r
                + 1.48103976427480074590e-1) * r + 6.89767334985100004550e-1) * r + 1.67638483018380384940e0) * r
                + 2.05319162663775882187e0) * r + 1.0)  # fmt: skip
    else:
        r -= 5.0
        above = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 1.24266094738807843860e-3) * r
                + 2.65321895265761230930e-2) * r + 2.96560571828504891230e-1) * r + 1.78482653991729133580e0) * r
                + 5.46378491116411436990e0) * r + 6.65790464350110377720e0)  # fmt: skip
        below = (((((((2.04426310338993978564e-15 * r + 1.42151175831644588870e-7) * r
                + 1.84631831751005468180e-5) * r + 7.86869131145613259100e-4) * r + 1.48753612908506148525e-2) * r
                + 1.36929880922735805310e-1) * r + 5.99832206555887937690e-1) * r + 1.0)  # fmt: skip
    return -above / below if q < 0.0 else above / below


@compiled
def sum_of(z, count, line, terms, s):
    """Cost of `count` body claims together, in money, at the normal score z; see `costs.sums`."""
    place = math.floor((z + SCORES) * _PIECES_A_SCORE)
    piece = np.int64(min(max(place, -1.0), float(PIECES)))
    t = z + SCORES - (piece if piece > 0 else 0) / _PIECES_A_SCORE
    v = math.sqrt(line[s, 4] / count)
    h = 0.0
    for k in range(DEGREE - 1, -1, -1):
        h += terms[s, piece + 1, k, 0] + t * (
            terms[s, piece + 1, k, 1] + t * (terms[s, piece + 1, k, 2] + t * terms[s, piece + 1, k, 3])
        )
        h *= v
    cost = count * line[s, 0] + math.sqrt(count) * line[s, 1] * (z + h)
    return min(max(cost, count * line[s, 2]), count * line[s, 3])


@compiled
def _count_above(costs, count, thresholds, s, excess, above, n_above, r, i):
    """Add the first `count` of `costs` to what lies above each ascending threshold; `costs` is used up."""
    for d in range(thresholds.shape[1]):
        threshold = thresholds[s, d]
        kept = 0
        for j in range(count):  # without a branch: a jump guessed wrongly costs more than the store
            cost = costs[j]
            costs[kept] = cost
            kept += 1 if cost > threshold else 0
        if kept == 0:
            return
        over = 0.0
        whole = 0.0
        for j in range(kept):
            over += costs[j] - threshold
            whole += costs[j]
        excess[r, i, d] += over
        above[r, i, d] += whole
        n_above[r, i, d] += kept
        count = kept


@compiled
def _fill_below(below, i, n, p):
    """The distribution function of few successes, on the nearer side of one half, for one n; 2 from the last on."""
    small = min(p, 1.0 - p)
    odds = small / (1.0 - small)
    chance = math.exp(n * math.log1p(-small))
    total = 0.0
    for k in range(below.shape[1]):
        total += chance
        below[i, k] = total if k < min(n, 110) else 2.0
        chance *= odds * max(n - k, 0) / (k + 1.0)


@compiled
def _count_below(below, i, u):
    """How many successes a uniform is worth."""
    k = 0
    for j in range(_AT_ONCE):  # without a branch
        k += 1 if u > below[i, j] else 0
    if k == _AT_ONCE:
        while u > below[i, k]:
            k += 1
    return k


@compiled
def _know(odds, log_rest, s, k, p):
    small = min(p, 1.0 - p)
    odds[s, k] = small / (1.0 - small)
    log_rest[s, k] = math.log1p(-small)


@compiled
def _log_gamma(shape, block, c1, c2, c3, k0, k1):
    """Logarithm of a gamma variate, by rejection from the blocks of a stream from `block` on [5]_."""
    d = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        u, w = _pair(block, c1, c2, c3, k0, k1)
        block += 1
        x = score(u)
        v = 1.0 + c * x
        if v > 0.0:
            v = v * v * v
            if math.log(w) < 0.5 * x * x + d * (1.0 - v + math.log(v)):
                break
    boost = 0.0 if shape >= 1.0 else math.log(_pair(block, c1, c2, c3, k0, k1)[0]) / shape
    return math.log(d * v) + boost


@compiled
def _divide(part, shares, s, g, kappa, total, square, most, c2, c3, k0, k1):
    """Parts of a sum of costs by service, into `part`: Dirichlet, of the variance that the patients' own splits give.

    `square` is the sum of the costs' squares, `most` the largest number of patients that it may be worth.
    """
    services = part.size
    for h in range(services):
        part[h] = shares[s, g, h]
    if math.isinf(kappa) or total <= 0.0 or square <= 0.0:
        return
    worth = min(max(total * total / square, 1.0), most)
    concentration = (kappa + 1.0) * worth - 1.0
    c1 = (np.uint64(SERVICES) << _24) | np.uint64(3 * s + g)
    largest = -math.inf
    for h in range(services):
        if shares[s, g, h] > 0.0:
            part[h] = _log_gamma(concentration * shares[s, g, h], h << 16, c1, c2, c3, k0, k1)
            largest = max(largest, part[h])
    whole = 0.0
    for h in range(services):
        part[h] = math.exp(part[h] - largest) if shares[s, g, h] > 0.0 else 0.0
        whole += part[h]
    for h in range(services):
        part[h] /= whole


@compiled
def draw_block(
    key,
    replicates,
    first,
    heads,
    shares,
    kind,
    rate,
    p_large,
    body,
    body_unit,
    sums_from,
    sums_line,
    sums_terms,
    tail,
    thresholds,
    factor,
    gross,
    excess,
    above,
    n_above,
    excluded,
    members,
    divided,
    divisor,
    line,
    line_excess,
    line_above,
):
    """Draw a block of replicates; every increment between population sizes apart, not yet accumulated.

    Parameters
    ----------
    key : uint64 (2,)
    replicates : int64 (replicate,)
        Their numbers.
    first : uint64
        The fourth word of the first increment's counters.
    heads : int64 (1 or replicate, increment, stream)
        People in the increment and segment; for a rare service all people of the increment. With `members` drawn, the
        people of the whole increment stand in each column.
    shares : float64 (increment, stream)
        Chance of the segment among those not placed in an earlier one, where the case mix is drawn.
    kind : int64 (stream,)
    rate : float64 (stream,)
        Chance of any cost, or events a head; below 0 where `heads` are the events themselves.
    p_large : float64 (stream,)
        Chance that a user is a large claim.
    body : uint64 (stream, 1024); body_unit : float64 (stream,)
    sums_from : int64 (stream,)
        Body claims from which on their sum is drawn; 0 where each is.
    sums_line : float64 (stream, 5); sums_terms : float64 (stream, PIECES + 2, DEGREE, 4)
        See `costs.sums.Sums`.
    tail : float64 (stream, TAIL_CELLS, 5)
    thresholds : float64 (stream, threshold), ascending
    factor : float64 (replicate, 1 or increment, stream)
        Common shock.
    gross, excluded : float64 (replicate, increment), out
    excess, above : float64 (replicate, increment, threshold), out
    n_above : int64 (replicate, increment, threshold), out
    members : int64 (replicate, increment, segment), out; of no replicates where the case mix is fixed
    divided : float64 (stream, 3, service)
        Shares of the services in the body, in large claims, and in those above the stream's dear cost; see
        `engine.services.Split`.
    divisor : float64 (stream, 3)
        Concentration of a patient's split; mean square of a body claim and the dear cost, before shocks.
    line : float64 (replicate, increment, service), out; of no services where costs are not divided
    line_excess, line_above : float64 (replicate, increment, threshold, service), out
    """
    words = np.empty(_WORDS, np.uint64)
    chance = np.empty(_WORDS // 2, np.float64)
    bits = chance.view(np.uint64)
    k0, k1 = key[0], key[1]
    sampled = members.shape[0] > 0
    increments = heads.shape[1]
    alike = heads.shape[0] == 1  # in all replicates
    below = np.empty((increments, 112))
    odds = np.empty((rate.size, 2))
    log_rest = np.empty((rate.size, 2))
    for s in range(rate.size):
        _know(odds, log_rest, s, 0, rate[s])
        _know(odds, log_rest, s, 1, p_large[s])
    services, levels = line.shape[2], thresholds.shape[1]
    part = np.empty(services)
    dear = np.empty(_WORDS // 2 + 1)
    dear_excess, dear_above = np.zeros((1, 1, levels)), np.zeros((1, 1, levels))
    dear_n = np.zeros((1, 1, levels), np.int64)
    known_excess, known_above = np.zeros(levels), np.zeros(levels)
    unplaced = np.empty(members.shape[:2], np.int64)
    for r in range(members.shape[0]):
        unplaced[r] = heads[0, :, 0]
    for s in range(heads.shape[2]):  # outermost, so that one stream's tables stay near
        stream = np.uint64(s)
        unbroken = tail[s, :, 2].min() > 1.0  # no cell in two parts
        tabled = kind[s] == PEOPLE and not sampled and alike
        for i in range(increments):
            if tabled and _is_few(heads[0, i, s], rate[s]):
                _fill_below(below, i, heads[0, i, s], rate[s])
        for r in range(gross.shape[0]):
            c2 = np.uint64(replicates[r])
            for i in range(increments):
                c3 = first + np.uint64(i)
                n = heads[0 if alike else r, i, s]
                if kind[s] == PEOPLE:
                    if sampled:
                        c1 = (np.uint64(MEMBERSHIP) << _24) | stream
                        n = binomial(unplaced[r, i], shares[i, s], c1, c2, c3, k0, k1)
                        unplaced[r, i] -= n
                        members[r, i, s] = n
                    c1 = (np.uint64(USERS) << _24) | stream
                    # users and their large claims, where few, share a block
                    known = _is_few(n, rate[s])
                    u, other = _pair(0, c1, c2, c3, k0, k1) if known else (0.0, 0.0)
                    if known and tabled:
                        users = _count_below(below, i, u)
                        users = users if rate[s] <= 0.5 else n - users
                    else:
                        users = _binomial(u, n, rate[s], odds[s, 0], log_rest[s, 0], c1, c2, c3, k0, k1)
                else:
                    c1 = (np.uint64(EVENTS) << _24) | stream
                    known, other = False, 0.0
                    users = poisson(n * rate[s], c1, c2, c3, k0, k1) if rate[s] >= 0.0 else n
                c1 = (np.uint64(LARGE) << _24) | stream
                if not known and _is_few(users, p_large[s]):
                    other = _pair(0, c1, c2, c3, k0, k1)[0]
                large = _binomial(other, users, p_large[s], odds[s, 1], log_rest[s, 1], c1, c2, c3, k0, k1)
                scale = factor[r, i if factor.shape[1] > 1 else 0, s]
                count = users - large
                below_cut = count
                if count >= sums_from[s] > 0:
                    u = _pair(0, (np.uint64(SUMS) << _24) | stream, c2, c3, k0, k1)[0]
                    cost = sum_of(score(u), count, sums_line, sums_terms, s) * scale
                else:
                    c1 = (np.uint64(BODY) << _24) | stream
                    cost = float(_body_sum(words, body, s, count, c1, c2, c3, k0, k1)) * body_unit[s] * scale
                in_body = cost
                squares, costly, costly_square, n_costly = 0.0, 0.0, 0.0, 0
                n_large = large
                for d in range(levels if services else 0):
                    known_excess[d], known_above[d] = excess[r, i, d], above[r, i, d]
                    dear_excess[0, 0, d], dear_above[0, 0, d] = 0.0, 0.0
                c1 = (np.uint64(TAIL) << _24) | stream
                block = 0
                while large > 0:
                    count = min(large, _WORDS // 2)
                    blocks = (count + 1) >> 1
                    philox(words, blocks, np.uint64(block), c1, c2, c3, k0, k1)
                    for j in range(count):
                        wide = (words[j] << _32) | words[2 * blocks + j]
                        chance[j] = min((float(wide) + 0.5) * _TWO_64, _BELOW_ONE)
                    for j in range(count):
                        cell = np.int64(bits[j] >> _TAIL_SHIFT) - _TAIL_FIRST
                        t = float(bits[j] & _TAIL_FRACTION) * _TAIL_STEP
                        if cell < 1:
                            cell = 0
                            t = chance[j] / _TAIL_BOTTOM
                        if unbroken or t < tail[s, cell, 2]:
                            x = (tail[s, cell, 0] + tail[s, cell, 1] * t) * scale
                        else:
                            x = (tail[s, cell, 3] + tail[s, cell, 4] * t) * scale
                        chance[j] = x
                        cost += x
                    if services:
                        found, limit = 0, divisor[s, 2] * scale
                        for j in range(count):  # without a branch
                            x = chance[j]
                            squares += x * x
                            dear[found] = x
                            found += 1 if x > limit else 0
                        for j in range(found):
                            costly += dear[j]
                            costly_square += dear[j] * dear[j]
                        n_costly += found
                        if found:
                            _count_above(dear, found, thresholds, s, dear_excess, dear_above, dear_n, 0, 0)
                    if kind[s] != OUT_OF_SCOPE:
                        _count_above(chance, count, thresholds, s, excess, above, n_above, r, i)
                    block += blocks
                    large -= count
                if kind[s] == OUT_OF_SCOPE:
                    excluded[r, i] += cost
                else:
                    gross[r, i] += cost
                if services == 0 or kind[s] == OUT_OF_SCOPE:
                    continue
                for g in range(3):
                    if (below_cut if g == 0 else n_large - n_costly if g == 1 else n_costly) == 0:
                        continue
                    total = in_body if g == 0 else max(cost - in_body - costly, 0.0) if g == 1 else costly
                    of_body = below_cut * divisor[s, 1] * scale * scale  # as expected of so many
                    square = of_body if g == 0 else squares - costly_square if g == 1 else costly_square
                    most = float(below_cut) if g == 0 else math.inf
                    _divide(part, divided, s, g, divisor[s, 0], total, square, most, c2, c3, k0, k1)
                    for h in range(services):
                        line[r, i, h] += total * part[h]
                    for d in range(levels if g else 0):
                        over, whole = dear_excess[0, 0, d], dear_above[0, 0, d]
                        if g == 1:
                            over = max(excess[r, i, d] - known_excess[d] - over, 0.0)
                            whole = max(above[r, i, d] - known_above[d] - whole, 0.0)
                        for h in range(services if whole > 0.0 else 0):
                            line_excess[r, i, d, h] += over * part[h]
                            line_above[r, i, d, h] += whole * part[h]


@compiled
def deal(key, replicates, last, before, offsets, target, chance, after):
    """Deal the people of each source out to states, and those of its pools: see `years.Program`.

    `before` is int64 (1 or replicate, increment, source), `after` (replicate, increment, state), out, zeros at first.
    """
    k0, k1 = key[0], key[1]
    sources, states = before.shape[2], after.shape[2]
    waiting = np.zeros(offsets.shape[1] - 1, np.int64)
    for r in range(after.shape[0]):
        c2 = np.uint64(replicates[r])
        for i in range(after.shape[1]):
            u = i if offsets.shape[0] > 1 else 0
            c3 = last + np.uint64(i)
            for b in range(waiting.size):
                waiting[b] = before[r if before.shape[0] > 1 else 0, i, b] if b < sources else 0
            for b in range(waiting.size):
                left = waiting[b]
                for e in range(offsets[u, b], offsets[u, b + 1]):
                    if left == 0:
                        break
                    c1 = (np.uint64(STATES) << _24) | np.uint64(e - offsets[u, 0])
                    n = binomial(left, chance[e], c1, c2, c3, k0, k1)
                    left -= n
                    if target[e] < states:
                        after[r, i, target[e]] += n
                    else:
                        waiting[sources + target[e] - states] += n


@compiled
def recur(key, replicates, last, before, stays, expected, first, after):
    """Events that come again of those `before`, (replicate, increment, service), and new ones, into `after`.

    `stays` and `expected` new ones are (increment, service); `first` is the number of the first service's stream.
    """
    k0, k1 = key[0], key[1]
    for r in range(after.shape[0]):
        c2 = np.uint64(replicates[r])
        for i in range(after.shape[1]):
            c3 = last + np.uint64(i)
            for s in range(after.shape[2]):
                stream = np.uint64(first + s)
                again = (np.uint64(STATES) << _24) | (np.uint64(1 << 23) + stream)
                n = binomial(before[r, i, s], stays[i, s], again, c2, c3, k0, k1)
                c1 = (np.uint64(EVENTS) << _24) | stream
                after[r, i, s] = n + poisson(expected[i, s], c1, c2, c3, k0, k1)


def key_of(seed: int) -> np.ndarray:
    """The Philox key (two words of 32 bits) of a seed below 2⁶⁴."""
    return np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint64)


def uniforms(
    seed: int, purpose: int, stream: int, replicates: np.ndarray, count: int, increment: int = 0, year: int = 1
) -> np.ndarray:
    """Uniforms in (0, 1) of one stream, for draws that are made on the host.

    Parameters
    ----------
    seed : int
        Below 2⁶⁴.
    purpose : int
        One of the purposes of this module.
    stream : int
        Number of the shock, measure, provider …; below 2²⁴.
    replicates : array of int, shape (replicate,)
    count : int
        How many for each replicate.
    increment, year : int
        Of a draw that each unit, or each year, has for itself.

    Returns
    -------
    ndarray of float64, shape (replicate, count)
    """
    drawn = np.empty((len(replicates), count))
    key = key_of(seed)
    with np.errstate(over="ignore"):
        uniforms_into(drawn, purpose, stream, np.array(replicates, np.int64), last_word(increment, year), *key)
    return drawn


def last_word(increment: int, year: int) -> np.uint64:
    """The fourth word of a counter: below 2²⁴ increments, and years from −126 to 129."""
    return np.uint64((year - 1) % 256 << 24 | increment)


drop_damaged_cache(draw_block, "kernels")
