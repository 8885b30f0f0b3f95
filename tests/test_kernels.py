"""The loops that draw: known answers, exact counts, streams that do not overlap, sums without loss."""

from __future__ import annotations

import copy
import hashlib
import importlib
import itertools
import math
import os
import pickle

import numba
import numpy as np
import pytest
from conftest import KINDS, make
from scipy import stats

import simulator as sim
from simulator.costs.sums import NONE
from simulator.engine import compiled, kernels
from simulator.engine.services import empty_lines

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")

JIT_OFF = os.environ.get("NUMBA_DISABLE_JIT") == "1"
DRAWS = 1_500 if JIT_OFF else 200_000
FIVE_SIGMA = 2 * stats.norm.sf(5)
ALL_ONES = 0xFFFFFFFF


def u64(*numbers):
    return [np.uint64(number) for number in numbers]


def one_block(counter, key):
    words = np.zeros(4, np.uint64)
    kernels.philox(words, 1, *u64(*counter), *u64(*key))
    return [int(word) for word in words]


def philox_of_the_paper(counter, key):
    """Philox4x32-10 as the paper writes it, in Python's own whole numbers."""
    (a, b, c, d), (k0, k1) = counter, key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (p1 >> 32) ^ b ^ k0, p1 & ALL_ONES, (p0 >> 32) ^ d ^ k1, p0 & ALL_ONES
        k0, k1 = (k0 + 0x9E3779B9) & ALL_ONES, (k1 + 0xBB67AE85) & ALL_ONES
    return [a, b, c, d]


# ── Philox ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.jit_off
@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((ALL_ONES,) * 4, (ALL_ONES,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_known_answers_of_its_authors(counter, key, answer):
    assert one_block(counter, key) == [int(word, 16) for word in answer.split()]


@pytest.mark.jit_off
def test_philox_agrees_with_the_paper_on_random_counters(rng):
    for counter, key in zip(
        rng.integers(0, 2**32, (50, 4)).tolist(), rng.integers(0, 2**32, (50, 2)).tolist(), strict=True
    ):
        assert one_block(counter, key) == philox_of_the_paper(counter, key)


@pytest.mark.jit_off
def test_many_blocks_are_the_single_blocks_of_successive_counters():
    words = np.zeros(4 * 7, np.uint64)
    kernels.philox(words, 7, *u64(5, 1, 2, 3), *u64(8, 9))
    for block in range(7):
        assert words[block::7].tolist() == one_block((5 + block, 1, 2, 3), (8, 9))


def test_the_block_counter_wraps_without_touching_its_neighbour():
    words = np.zeros(8, np.uint64)
    kernels.philox(words, 2, *u64(ALL_ONES, 1, 2, 3), *u64(8, 9))
    assert words[1::2].tolist() == one_block((0, 1, 2, 3), (8, 9))


@pytest.mark.jit_off
def test_a_seed_is_a_key_of_two_words():
    assert kernels.key_of((7 << 32) | 5).tolist() == [5, 7]


# ── uniforms ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.jit_off
def test_a_uniform_has_the_52_high_bits_of_two_words():
    drawn = kernels.uniforms(3, kernels.QUALITY, 2, np.array([4]), 3)[0]
    first, second = (philox_of_the_paper((block, (kernels.QUALITY << 24) | 2, 4, 0), (3, 0)) for block in (0, 1))
    pairs = [first[:2], first[2:], second[:2]]
    assert drawn.tolist() == [(((high << 32 | low) >> 12) + 0.5) / 2**52 for high, low in pairs]


def test_uniforms_are_uniform():
    drawn = kernels.uniforms(11, kernels.ACTIVITY, 0, np.arange(2_000), 50).ravel()
    assert drawn.min() > 0 and drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 5 * math.sqrt(1 / 12 / drawn.size)
    assert abs(drawn.var() - 1 / 12) < 5 * math.sqrt(1 / 180 / drawn.size)
    assert stats.kstest(drawn, "uniform").pvalue > FIVE_SIGMA
    assert stats.kstest(drawn**1.1, "uniform").pvalue < FIVE_SIGMA, "a power of 1.1 must be noticed"


def test_neighbouring_uniforms_are_not_correlated():
    drawn = kernels.uniforms(11, kernels.ACTIVITY, 0, np.arange(2_000), 50)
    for one, other in [(drawn[:, :-1], drawn[:, 1:]), (drawn[:-1], drawn[1:])]:
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5 / math.sqrt(one.size)


@pytest.mark.jit_off
def test_uniforms_of_a_replicate_do_not_depend_on_the_others_or_on_how_many_are_asked_for():
    many = kernels.uniforms(5, kernels.SHOCK, 1, np.arange(6), 5)
    few = kernels.uniforms(5, kernels.SHOCK, 1, np.array([4, 2]), 3)
    assert np.array_equal(few, many[[4, 2], :3])


def test_uniforms_are_the_same_bits_for_ever():
    drawn = kernels.uniforms(20170401, kernels.SHOCK, 0, np.arange(100), 5)
    assert hashlib.sha256(drawn.tobytes()).hexdigest()[:16] == "5eed1db14852d6cc"


@pytest.mark.jit_off
def test_the_largest_words_give_a_uniform_below_one():
    # an odd position reads the words that are there
    largest = kernels._uniform(np.full(4, ALL_ONES, np.uint64), 1, *u64(0, 0, 0, 0, 0))
    assert largest < 1


# ── streams ──────────────────────────────────────────────────────────────────────────────────────


def purposes():
    names = [
        "USERS",
        "LARGE",
        "BODY",
        "TAIL",
        "EVENTS",
        "MEMBERSHIP",
        "SHOCK",
        "QUALITY",
        "ACTIVITY",
        "BASELINE",
        "SUMS",
    ]
    return {name: getattr(kernels, name) for name in names}


def test_purposes_keep_their_numbers():
    assert list(purposes().values()) == list(range(1, 12))


def test_streams_of_purposes_numbers_replicates_and_seeds_share_no_uniform():
    drawn = [
        kernels.uniforms(seed, purpose, stream, np.arange(20), 10).ravel()
        for seed, purpose, stream in itertools.product((1, 2, 1 << 32), purposes().values(), (0, 1, 255, 2**24 - 1))
    ]
    together = np.concatenate(drawn)
    assert np.unique(together).size == together.size


@pytest.mark.jit_off
@pytest.mark.skipif(not JIT_OFF, reason="counters can be watched only where the kernels are plain Python")
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_counter_is_used_twice_in_a_run(kind, monkeypatch):
    used = []
    plain, pair = kernels.philox, kernels._pair

    def watched(words, blocks, c0, c1, c2, c3, k0, k1):
        used.extend((int(c0) + j, int(c1), int(c2), int(c3)) for j in range(int(blocks)))
        plain(words, blocks, c0, c1, c2, c3, k0, k1)

    def watched_pair(c0, c1, c2, c3, k0, k1):
        used.append((int(c0), int(c1), int(c2), int(c3)))
        return pair(c0, c1, c2, c3, k0, k1)

    monkeypatch.setattr(kernels, "philox", watched)
    monkeypatch.setattr(kernels, "_pair", watched_pair)
    changes = {**KINDS[kind]}
    changes["simulation"] = {**changes.get("simulation", {}), "replicates": 3}
    sim.simulate(make(**changes))
    assert len(used) > 20
    assert len(set(used)) == len(used)


# ── exact counts ─────────────────────────────────────────────────────────────────────────────────


@numba.njit
def _binomials(out, n, p, c1, k0, k1):  # pragma: no cover
    for r in range(out.size):
        out[r] = kernels.binomial(n, p, c1, np.uint64(r), np.uint64(0), k0, k1)


@numba.njit
def _poissons(out, mean, c1, k0, k1):  # pragma: no cover
    for r in range(out.size):
        out[r] = kernels.poisson(mean, c1, np.uint64(r), np.uint64(0), k0, k1)


def binomials(n, p, draws=DRAWS, stream=1):
    out = np.empty(draws, np.int64)
    _binomials(out, n, p, np.uint64(stream), *u64(77, 0))
    return out


def poissons(mean, draws=DRAWS, stream=2):
    out = np.empty(draws, np.int64)
    _poissons(out, mean, np.uint64(stream), *u64(78, 0))
    return out


def chance_of_so_bad_a_fit(drawn, law):
    """P-value of Pearson's chi-square on cells of about equal probability, single numbers where they are likely."""
    edges = np.unique(law.ppf(np.linspace(0, 1, 102)[1:-1]))
    chance = np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]]))
    seen = np.bincount(np.searchsorted(edges, drawn), minlength=chance.size)
    keep = chance * drawn.size >= 5
    rare_seen, rare_chance = seen[~keep].sum(), chance[~keep].sum()
    seen, chance = np.append(seen[keep], rare_seen), np.append(chance[keep], rare_chance)
    if chance[-1] * drawn.size < 1:  # too rare to be judged by chi-square
        assert seen[-1] < 10
        seen, chance = seen[:-1], chance[:-1] / chance[:-1].sum()
    if seen.size == 1:
        return 1.0
    return stats.chisquare(seen, chance * seen.sum()).pvalue


BINOMIALS = [
    (1, 0.3),
    (2, 0.5),
    (5, 0.5),
    (19, 0.5),
    (20, 0.5),
    (21, 0.5),
    (20, 0.4999),
    (20, 0.5001),
    (100, 0.0999),
    (100, 0.1),
    (100, 0.1001),
    (100, 0.9),
    (100, 0.8999),
    (1_000, 0.00999),
    (1_000, 0.01),
    (1_000, 0.990_01),
    (37, 0.93),
    (400, 0.03),
    (5_000, 0.6),
    (1_000_000, 1e-6),
    (1_000_000, 1 - 1e-6),
    (1_000_000, 1e-3),
    (2_800_000, 3.5e-6),
    (2_800_000, 3.6e-6),
    (2_800_000, 0.3),
    (2_800_000, 0.9999),
]


@pytest.mark.heavy
@pytest.mark.parametrize(("n", "p"), BINOMIALS)
def test_binomials_are_exact(n, p):
    drawn = binomials(n, p)
    assert drawn.min() >= 0 and drawn.max() <= n
    assert chance_of_so_bad_a_fit(drawn, stats.binom(n, p)) > FIVE_SIGMA
    assert abs(drawn.mean() - n * p) < 5 * math.sqrt(n * p * (1 - p) / drawn.size)


@pytest.mark.parametrize(("n", "p"), [(20, 0.4999), (20, 0.5), (1_000, 0.01), (5_000, 0.6), (2_800_000, 0.3)])
def test_the_binomial_check_notices_a_wrong_chance(n, p):
    off = 25 * math.sqrt(p * (1 - p) / n / DRAWS)
    assert chance_of_so_bad_a_fit(binomials(n, p), stats.binom(n, p + off)) < FIVE_SIGMA


POISSONS = [1e-4, 0.5, 3.0, 9.99, 10.0, 10.01, 25.0, 1_000.0, 1e6]


@pytest.mark.heavy
@pytest.mark.parametrize("mean", POISSONS)
def test_poissons_are_exact(mean):
    drawn = poissons(mean)
    assert drawn.min() >= 0
    assert chance_of_so_bad_a_fit(drawn, stats.poisson(mean)) > FIVE_SIGMA
    assert abs(drawn.mean() - mean) < 5 * math.sqrt(mean / drawn.size)


@pytest.mark.parametrize("mean", [3.0, 9.99, 10.01, 1_000.0])
def test_the_poisson_check_notices_a_wrong_mean(mean):
    assert chance_of_so_bad_a_fit(poissons(mean), stats.poisson(mean + 25 * math.sqrt(mean / DRAWS))) < FIVE_SIGMA


@pytest.mark.jit_off
def test_both_binomial_algorithms_and_both_poisson_ones_give_their_mean_in_plain_python():
    for n, p in [(15, 0.3), (12, 0.9), (60, 0.5), (90, 0.2), (4_000, 0.01), (4_000, 0.995)]:
        drawn = binomials(n, p, draws=1_500)
        assert abs(drawn.mean() - n * p) < 5 * math.sqrt(n * p * (1 - p) / drawn.size)
    for mean in (0.3, 6.0, 12.0, 300.0):
        drawn = poissons(mean, draws=1_500)
        assert abs(drawn.mean() - mean) < 5 * math.sqrt(mean / drawn.size)


@pytest.mark.jit_off
@pytest.mark.parametrize(
    ("n", "p", "answer"), [(0, 0.5, 0), (-3, 0.5, 0), (9, 0.0, 0), (9, -1e-9, 0), (9, 1.0, 9), (9, 1.5, 9)]
)
def test_certain_binomials_need_no_draw(n, p, answer):
    assert set(binomials(n, p, draws=3).tolist()) == {answer}


@pytest.mark.jit_off
@pytest.mark.parametrize("mean", [0.0, -1.0])
def test_a_poisson_without_events_is_zero(mean):
    assert set(poissons(mean, draws=3).tolist()) == {0}


@pytest.mark.jit_off
def test_stirlings_remainder_is_that_of_the_factorial():
    for k in range(60):
        first_terms = 0.5 * math.log(2 * math.pi) + (k + 0.5) * math.log(k + 1) - (k + 1)
        assert kernels._stirling_tail(k) == pytest.approx(math.lgamma(k + 1) - first_terms, abs=1e-10)


def test_a_count_does_not_depend_on_the_counts_drawn_before_it():
    alone = kernels.binomial(500, 0.4, *u64(1, 2, 3, 4, 5))
    kernels.binomial(7, 0.1, *u64(9, 9, 9, 4, 5))
    assert kernels.binomial(500, 0.4, *u64(1, 2, 3, 4, 5)) == alone


# ── costs ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.jit_off
@pytest.mark.parametrize("count", [0, 1, 3, 4, 1_023, 1_024, 1_025, 2_051])
def test_the_body_sum_is_that_of_pythons_whole_numbers(count, rng):
    table = rng.integers(0, 2**63, 1_024).astype(np.uint64)
    assert body_sum(table, count) == body_sum_in_whole_numbers(table, count)


@pytest.mark.jit_off
def test_the_body_sum_does_not_overflow_at_the_largest_table():
    table = np.full(1_024, 2**64 - 1, np.uint64)
    assert body_sum(table, 3_000) == body_sum_in_whole_numbers(table, 3_000)


def body_sum(table, count):
    return int(kernels._body_sum(np.empty(1_024, np.uint64), table[None], 0, count, *u64(1, 2, 3, 4, 5)))


def body_sum_in_whole_numbers(table, count):
    total, block = 0, 0
    while count > 0:
        n = min(count, 1_024)
        blocks = -(-n // 32) * 8  # whole vectors
        outputs = [philox_of_the_paper((block + j, 1, 2, 3), (4, 5)) for j in range(blocks)]
        words = [outputs[j % blocks][j // blocks] for j in range(n)]
        parts = 0
        for word in words:
            cell = int(table[word >> 22])
            total += cell >> 32
            parts += (cell & ALL_ONES) * (word & (2**22 - 1))
        total, block, count = total + (parts >> 22), block + blocks, count - n
    return total


def draw_one_stream(
    n, thresholds=(), factor=1.0, kind=kernels.PEOPLE, rate=1.0, p_large=1.0, replicates=1, tail=None, body=0, unit=0.0
):
    """What `draw_block` makes of one stream, by name."""
    d = len(thresholds)
    tail = np.zeros((kernels.TAIL_OCTAVES * 64 + 1, 5)) if tail is None else tail
    out = {
        "gross": np.zeros((replicates, 1)),
        "excess": np.zeros((replicates, 1, d)),
        "above": np.zeros((replicates, 1, d)),
        "n_above": np.zeros((replicates, 1, d), np.int64),
        "excluded": np.zeros((replicates, 1)),
        "members": np.zeros((0, 1, 0), np.int64),
    }
    kernels.draw_block(
        kernels.key_of(9), np.arange(replicates), np.uint64(0), np.array([[[n]]]), np.ones((1, 1)),
        np.array([kind]), np.array([rate]), np.array([p_large]),
        np.full((1, 1_024), body, np.uint64), np.array([unit]), np.zeros(1, np.int64),
        NONE.line[None], NONE.terms[None], tail[None], np.array([thresholds], float).reshape(1, d),
        np.full((replicates, 1, 1), factor), *out.values(), np.zeros((1, 3, 0)), np.zeros((1, 3)),
        *empty_lines(replicates, 1, d, 0).values(),
    )  # fmt: skip
    return out


def index_table():
    """A tail whose cost tells the cell and the place in it."""
    table = np.zeros((kernels.TAIL_OCTAVES * 64 + 1, 5))
    table[:, 0], table[:, 1], table[:, 2] = np.arange(len(table)), 1.0, 2.0
    return table


@pytest.mark.jit_off
def test_a_large_claim_reads_the_cell_of_its_survival_probability():
    drawn = draw_one_stream(1, replicates=300, tail=index_table())["gross"][:, 0]
    for r, found in enumerate(drawn):
        high, _, low, _ = philox_of_the_paper((0, kernels.TAIL << 24, r, 0), (9, 0))
        del low
        words = philox_of_the_paper((0, kernels.TAIL << 24, r, 0), (9, 0))
        chance = ((words[0] << 32 | words[2]) + 0.5) / 2**64
        octave = math.floor(math.log2(chance))
        cell, t = divmod(64 * (chance / 2.0**octave - 1), 1)
        assert found == pytest.approx((octave + 58) * 64 + cell + 1 + t, abs=1e-6)
        assert high == words[0]


@pytest.mark.jit_off
def test_a_split_cell_has_its_two_costs():
    table = np.zeros((kernels.TAIL_OCTAVES * 64 + 1, 5))
    table[:] = [900.0, 0.0, 0.25, 100.0, 0.0]
    drawn = draw_one_stream(1, replicates=1_500, tail=table)["gross"][:, 0]
    assert set(drawn) == {100.0, 900.0}
    # the first cell of an octave holds as much as its last, so a quarter of each cell is a quarter of all
    assert abs((drawn == 900).mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / drawn.size)


@pytest.mark.jit_off
def test_thresholds_meet_the_cost_after_the_shock():
    table = np.zeros((kernels.TAIL_OCTAVES * 64 + 1, 5))
    table[:, 0], table[:, 2] = 100.0, 2.0
    out = draw_one_stream(700, thresholds=(110.0, 120.0, 130.0), factor=1.25, tail=table)
    assert out["gross"][0, 0] == 700 * 125
    assert out["excess"][0, 0].tolist() == [700 * 15, 700 * 5, 0]
    assert out["above"][0, 0].tolist() == [700 * 125, 700 * 125, 0]
    assert out["n_above"][0, 0].tolist() == [700, 700, 0]


@pytest.mark.jit_off
def test_a_cost_at_the_threshold_is_not_above_it():
    table = np.zeros((kernels.TAIL_OCTAVES * 64 + 1, 5))
    table[:, 0], table[:, 2] = 100.0, 2.0
    assert draw_one_stream(5, thresholds=(100.0,), tail=table)["n_above"][0, 0, 0] == 0


@pytest.mark.jit_off
def test_services_out_of_scope_are_totalled_apart_and_meet_no_threshold():
    table = np.zeros((kernels.TAIL_OCTAVES * 64 + 1, 5))
    table[:, 0], table[:, 2] = 100.0, 2.0
    out = draw_one_stream(50, thresholds=(10.0,), tail=table, kind=kernels.OUT_OF_SCOPE, rate=2.0)
    assert out["gross"][0, 0] == 0 == out["n_above"][0, 0, 0]
    assert out["excluded"][0, 0] >= 100
    kept = draw_one_stream(50, thresholds=(10.0,), tail=table, kind=kernels.IN_SCOPE, rate=2.0)
    assert kept["gross"][0, 0] == out["excluded"][0, 0] == 100 * kept["n_above"][0, 0, 0]


plain_only = pytest.mark.skipif(not JIT_OFF, reason="only plain Python can be given draws of one's choice")


@pytest.mark.jit_off
@plain_only
@pytest.mark.parametrize(("word", "cost"), [(0, 2.0**-7), (ALL_ONES, 3_713.0)])
def test_the_extreme_claims_read_the_extreme_cells(monkeypatch, word, cost):
    def constant(words, blocks, *counter_and_key):
        words[: 4 * blocks] = word

    monkeypatch.setattr(kernels, "philox", constant)
    # the lowest cell is crossed evenly: half of 2⁻⁶⁴ is 2⁻⁷ of it
    assert draw_one_stream(1, tail=index_table())["gross"][0, 0] == pytest.approx(cost, rel=1e-9)


@pytest.mark.jit_off
@plain_only
@pytest.mark.parametrize(
    "draw",
    [
        lambda: kernels.binomial(8, 0.3, *u64(1, 2, 3, 4, 5)),
        lambda: kernels.poisson(2.0, *u64(1, 2, 3, 4, 5)),
    ],
)
def test_what_rounding_leaves_beyond_the_last_chance_is_drawn_again(monkeypatch, draw):
    uniforms = iter([1.0 + 1e-9, 1e-300])
    monkeypatch.setattr(kernels, "_pair", lambda *arguments: (next(uniforms), 0.5))
    assert draw() == 0
    assert next(uniforms, None) is None, "both were used"


def test_the_rarest_claims_read_the_lowest_cell():
    # 2⁻⁵⁸ is out of reach of a test's draws, so the index itself is looked at
    bits = np.array([2.0**-58, np.nextafter(2.0**-58, 0), 2.0**-64, np.nextafter(1.0, 0)]).view(np.uint64)
    cells = [int(b >> kernels._TAIL_SHIFT) - kernels._TAIL_FIRST for b in bits]
    assert cells[0] == 1 and cells[1] == 0 and cells[2] < 0 and cells[3] == kernels.TAIL_OCTAVES * 64


# ── compiling ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.jit_off
@pytest.mark.parametrize("refusal", [RuntimeError("no locator available"), OSError(28, "No space left on device")])
def test_an_install_that_keeps_no_cache_compiles_afresh_and_says_so_once(refusal, monkeypatch, caplog):
    def refuses_a_cache(**options):
        if options.get("cache"):
            raise refusal
        return lambda function: function

    monkeypatch.setattr(numba, "njit", refuses_a_cache)
    monkeypatch.setattr(compiled, "_said", set())
    assert compiled.compiled(one_block) is one_block and compiled.compiled(abs) is abs
    assert caplog.text.count("NUMBA_CACHE_DIR") == 1


def test_a_cache_that_cannot_be_written_stops_nothing(monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(numba.core.caching.FunctionCache, "save_overload", full)
    monkeypatch.setattr(compiled, "_said", set())
    assert compiled.compiled(twice)(2) == 4
    assert "No space left on device" in caplog.text


def test_a_damaged_cache_is_removed_and_a_sound_one_stays(tmp_path, monkeypatch, caplog):
    class Kept:
        class stats:  # noqa: N801 - as numba names it
            cache_path = str(tmp_path)

    sound, short, empty = (tmp_path / f"kernels.{name}.nbc" for name in ("sound", "short", "empty"))
    sound.write_bytes(pickle.dumps(1) + pickle.dumps([2.0] * 50))
    short.write_bytes(sound.read_bytes()[:-5])
    empty.touch()
    other = tmp_path / "other.short.nbc"
    other.write_bytes(short.read_bytes())
    monkeypatch.setattr(compiled, "_said", set())
    compiled.drop_damaged_cache(Kept, "kernels")
    assert sound.exists() and other.exists() and not short.exists() and not empty.exists()
    assert "compiled afresh" in caplog.text


@pytest.mark.jit_off
def test_every_scenario_needs_the_same_compiled_loops(monkeypatch):
    typed = {name: set() for name in ("draw_block", "uniforms_into")}

    def watch(name, loop):
        def watched(*arguments):
            typed[name].add(tuple(map(str, map(numba.typeof, arguments[:5]))))
            return loop(*arguments)

        monkeypatch.setattr(kernels, name, watched)

    for name in typed:
        watch(name, getattr(kernels, name))
    for kind in ("fixed", "sampled", "units sampled", "rare"):
        for sizes in ([40], [40, 60]):
            parts = copy.deepcopy(KINDS[kind])
            parts.setdefault("simulation", {}).update(population_sizes=sizes, replicates=3)
            sim.simulate(make(**parts), progress=False)
    kernels.uniforms(1, kernels.SHOCK, 0, np.broadcast_to(np.int64(1), 3), 2)  # read-only
    assert {name: len(found) for name, found in typed.items()} == {"draw_block": 1, "uniforms_into": 1}


def twice(number):
    return 2 * number


def test_every_jitted_function_stands_in_the_kernels_module():
    # numba's cache on disk does not see changes in other files
    for name in ("simulator.engine.simulate", "simulator.costs.tables", "simulator.runs", "simulator.costs.model"):
        module = importlib.import_module(name)
        assert not [key for key, value in vars(module).items() if isinstance(value, numba.core.dispatcher.Dispatcher)]
