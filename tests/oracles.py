"""A slow simulator, patient by patient, that shares no code with the package: the reference of its tests.

It reads a scenario's plain mapping itself, draws from scipy's families with numpy's generator, and applies shocks,
thresholds and exclusion rules to each patient. It knows nothing of tables, counters, cuts or sufficient statistics.
"""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
from scipy import integrate, optimize, special, stats

# ── families ─────────────────────────────────────────────────────────────────────────────────────


class Law:
    """A family of scipy's: random costs, survival function, quantile."""

    def __init__(self, frozen):
        self._frozen = frozen

    def draw(self, rng, size):
        return self._frozen.rvs(size=size, random_state=rng)

    def sf(self, x):
        return self._frozen.sf(x)

    def isf(self, s):
        return self._frozen.isf(s)


class Spliced(Law):
    def __init__(self, body, above, at, is_excess):
        self.body, self.above, self.at, self.is_excess = body, above, at, is_excess

    def _beyond(self, s):
        return self.at + self.above.isf(s) if self.is_excess else self.above.isf(s * self.above.sf(self.at))

    def draw(self, rng, size):
        cost = self.body.draw(rng, size)
        return np.where(cost > self.at, self._beyond(rng.random(size)), cost)

    def sf(self, x):
        if np.ndim(x):
            return np.array([self.sf(one) for one in np.ravel(x)]).reshape(np.shape(x))
        if x < self.at:
            return self.body.sf(x)
        given = self.above.sf(x - self.at) if self.is_excess else self.above.sf(x) / self.above.sf(self.at)
        return self.body.sf(self.at) * given

    def isf(self, s):
        weight = self.body.sf(self.at)
        return np.where(s > weight, self.body.isf(np.maximum(s, weight)), self._beyond(np.minimum(s / weight, 1.0)))


class Mixture(Law):
    def __init__(self, weights, laws):
        self.weights, self.laws = np.asarray(weights), laws

    def draw(self, rng, size):
        kind = rng.choice(self.weights.size, size=size, p=self.weights / self.weights.sum())
        drawn = [law.draw(rng, size) for law in self.laws]
        return np.choose(kind, drawn)

    def sf(self, x):
        return sum(w * law.sf(x) for w, law in zip(self.weights, self.laws, strict=True))

    def isf(self, s):
        ends = [law.isf(s) for law in self.laws]
        if np.ndim(s):
            low, high = np.min(ends, axis=0), np.max(ends, axis=0)
            for _ in range(100):  # halved until the two ends are neighbours
                middle = (low + high) / 2
                above = self.sf(middle) > s
                low, high = np.where(above, middle, low), np.where(above, high, middle)
            return high
        if min(ends) == max(ends):
            return ends[0]
        return optimize.brentq(lambda x: self.sf(x) - s, min(ends), max(ends), xtol=1e-12, rtol=1e-14)


class PowerOfBetaPrime:
    """Generalized beta of the second kind, by numpy's and scipy's beta prime."""

    def __init__(self, a, p, q, scale):
        self.a, self.prime, self.scale = a, stats.betaprime(p, q), scale

    def rvs(self, size, random_state):
        return self.scale * self.prime.rvs(size=size, random_state=random_state) ** (1 / self.a)

    def sf(self, x):
        return self.prime.sf((np.asarray(x) / self.scale) ** self.a)

    def isf(self, s):
        # the reciprocal of a beta prime is one too, and scipy's lower quantile is the better of the two
        return self.scale * stats.betaprime(*self.prime.args[::-1]).ppf(s) ** (-1 / self.a)

    def moment(self, k):
        p, q = self.prime.args
        return self.scale**k * special.beta(p + k / self.a, q - k / self.a) / special.beta(p, q)

    def mean(self):
        return self.moment(1)

    def std(self):
        return math.sqrt(self.moment(2) - self.moment(1) ** 2)


class Values(Law):
    def __init__(self, values, weights):
        order = np.argsort(values)
        self.values, self.weights = np.asarray(values, float)[order], np.asarray(weights, float)[order]
        self.weights = self.weights / self.weights.sum()

    def draw(self, rng, size):
        return rng.choice(self.values, size=size, p=self.weights)

    def sf(self, x):
        return np.sum(self.weights * (self.values > np.asarray(x)[..., None]), axis=-1)

    def isf(self, s):
        """The smallest value exceeded with a chance of at most s."""
        return next(v for v in self.values if self.sf(v) <= s * (1 + 1e-12))


class QuantileTable(Law):
    def __init__(self, table):
        points = sorted((float(p), float(x)) for p, x in table.items())
        self.levels, self.costs = np.array(points).T

    def draw(self, rng, size):
        return np.interp(rng.random(size), self.levels, self.costs)

    def sf(self, x):
        return 1 - np.interp(x, self.costs, self.levels)

    def isf(self, s):
        return np.interp(1 - np.asarray(s), self.levels, self.costs)


def law_of(severity):
    """The law that a severity's mapping describes."""
    family, mean, cv = severity["family"], severity.get("mean"), severity.get("cv")
    if family == "spliced":
        tail = severity["tail"]
        if tail["family"] == "pareto" and "mean" not in tail and "scale" not in tail:
            tail = {**tail, "scale": severity["at"]}
        return Spliced(law_of(severity["body"]), law_of(tail), severity["at"], tail["family"] in ("gpd", "lomax"))
    if family == "mixture":
        parts = severity["components"]
        return Mixture([part["weight"] for part in parts], [law_of(part["severity"]) for part in parts])
    if family == "empirical":
        if "quantiles" in severity:
            return QuantileTable(severity["quantiles"])
        return Values(severity["values"], severity.get("weights") or np.ones(len(severity["values"])))
    return Law(_from_moments(severity, mean, cv) if mean is not None else _from_native(severity))


def _from_native(p):
    match p["family"]:
        case "lognormal":
            return stats.lognorm(s=p["sigma"], scale=math.exp(p["mu"]))
        case "gamma":
            return stats.gamma(p["shape"], scale=p["scale"])
        case "weibull":
            return stats.weibull_min(p["shape"], scale=p["scale"])
        case "pareto":
            return stats.pareto(p["alpha"], scale=p["scale"])
        case "lomax":
            return stats.lomax(p["alpha"], scale=p["scale"])
        case "gpd":
            return stats.genpareto(p["shape"], scale=p["scale"])
        case "burr":
            return stats.burr12(p["c"], p["d"], scale=p["scale"])
        case "gengamma" if "q" in p:
            scale = math.exp(p["mu"] + 2 * p["sigma"] / p["q"] * math.log(abs(p["q"])))
            return stats.gengamma(p["q"] ** -2, p["q"] / p["sigma"], scale=scale)
        case "gengamma":
            return stats.gengamma(p["shape"], p["power"], scale=p["scale"])
        case "gb2":
            return PowerOfBetaPrime(p["a"], p["p"], p["q"], p["scale"])
    raise ValueError(p["family"])


_SHAPE = {
    # a family of mean and cv as a shape that scipy's own moments determine
    "lognormal": (lambda k: stats.lognorm(s=k), 1e-3, 5),
    "gamma": (lambda k: stats.gamma(k), 1e-3, 1e6),
    "weibull": (lambda k: stats.weibull_min(k), 0.1, 1e3),
    "pareto": (lambda k: stats.pareto(2 + k), 1e-6, 1e4),
    "lomax": (lambda k: stats.lomax(2 + k), 1e-6, 1e4),
}


def _from_moments(p, mean, cv):
    if p["family"] == "gpd":
        shape = optimize.brentq(lambda k: _cv(stats.genpareto(k)) - cv, -50, 0.4999)
        return stats.genpareto(shape, scale=mean / stats.genpareto(shape).mean())
    if p["family"] == "gb2":
        a = optimize.brentq(lambda a: _cv(PowerOfBetaPrime(a, p["p"], p["tail"] / a, 1.0)) - cv, 0.2, 20, xtol=1e-14)
        return PowerOfBetaPrime(a, p["p"], p["tail"] / a, mean / PowerOfBetaPrime(a, p["p"], p["tail"] / a, 1.0).mean())
    build, low, high = (
        _SHAPE.get(p["family"])
        or {
            "burr": (lambda c: stats.burr12(c, p["tail"] / c), 0.1, 100),
            "gengamma": (lambda k: stats.gengamma(k, p["power"]), 0.01, 100),
        }[p["family"]]
    )
    shape = math.exp(
        optimize.brentq(lambda y: math.log(_cv(build(math.exp(y))) / cv), math.log(low), math.log(high), xtol=1e-14)
    )
    return _scaled(build(shape), mean)


def _scaled(frozen, mean):
    return frozen.dist(*frozen.args, **{**frozen.kwds, "scale": mean / frozen.mean()})


def _cv(frozen):
    return frozen.std() / frozen.mean()


# ── who is covered ───────────────────────────────────────────────────────────────────────────────


def head_counts(n, shares):
    """Seats by the definition of Sainte-Laguë's method: one after another to the largest share / (2·seats + 1)."""
    seats = [0] * len(shares)
    for _ in range(n):
        claims = [share / (2 * have + 1) for share, have in zip(shares, seats, strict=True)]
        seats[claims.index(max(claims))] += 1
    return np.array(seats)


def shock_law(cv):
    """Normal score and scale of a shock: lognormal, truncated at six sigma, of mean 1."""
    sigma = math.sqrt(math.log1p(cv**2))
    inside = integrate.quad(lambda z: stats.norm.pdf(z), -6, 6)[0]
    mean = integrate.quad(lambda z: math.exp(sigma * z) * stats.norm.pdf(z), -6, 6, epsabs=0, epsrel=1e-12)[0] / inside
    return sigma, 1 / mean


def common_factors(scenario, replicates, rng):
    """What multiplies the cost of each segment and rare service in each replicate: name -> (replicate,)."""
    shocks = scenario.get("shocks", [])
    names = [shock["name"] for shock in shocks]
    together = np.eye(len(shocks))
    for pair in scenario.get("shock_correlations", []):
        i, j = (names.index(name) for name in pair["between"])
        together[i, j] = together[j, i] = pair["value"]
    scores = rng.multivariate_normal(np.zeros(len(shocks)), together, size=replicates) if shocks else []
    population = scenario["population"]
    hit = [part["name"] for kind in ("segments", "rare_services") for part in population.get(kind, [])]
    factors = {name: np.ones(replicates) for name in hit}
    for k, shock in enumerate(shocks):
        own = yearly_factor(shock, scores[:, k]) if "cv" in shock else rare_factor(shock, scores[:, k])
        for name in shock.get("segments") or hit:
            factors[name] = factors[name] * own
    return factors


def yearly_factor(shock, score):
    sigma, scale = shock_law(shock["cv"])
    return scale * np.exp(sigma * np.clip(score, -6, 6))


def rare_factor(shock, score):
    """One level in years with the event and one in the others, of mean 1; high scores are dear years."""
    chance, more = shock["probability"], shock["by"]
    has_come = score > stats.norm.isf(chance) if more > 0 else score < stats.norm.ppf(chance)
    return np.where(has_come, 1 + more, 1.0) / (1 + chance * more)


def person_quantile(segments, level):
    """The annual cost that a person of these (share, p_user, law) exceeds with probability 1 − level."""
    if level == 1:
        return math.inf
    top = max(float(law.isf((1 - level) / p)) if (1 - level) < p else 0.0 for _, p, law in segments)

    def gap(y):
        return sum(w * p * float(law.sf(math.exp(y))) for w, p, law in segments) - (1 - level)

    return math.exp(optimize.brentq(gap, math.log(1e-6), math.log(top * 1.001), xtol=1e-13))


def amounts(scenario):
    """Money by segment and threshold; one more row for rare services."""
    segments = [(s["share"], s.get("p_user", 1.0), law_of(s["severity"])) for s in scenario["population"]["segments"]]
    given = scenario["simulation"]["thresholds"]
    if not isinstance(given, dict):
        return np.tile(np.asarray(given, float), (len(segments) + 1, 1))
    levels = given["percentiles"]
    if given.get("by", "population") == "population":
        return np.tile([person_quantile(segments, level) for level in levels], (len(segments) + 1, 1))
    rows = [[person_quantile([(1.0, p, law)], level) for level in levels] for _, p, law in segments]
    return np.array([*rows, [math.inf] * len(levels)])


# ── rules, a patient at a time ───────────────────────────────────────────────────────────────────


def cap(x, at):
    return np.minimum(x, at)


def coinsure(x, at, share):
    return np.where(x > at, at + (1 - share) * (x - at), x)


def carve_out(x, at):
    return np.where(x > at, 0.0, x)


def banded(x, bands):
    """Bands as (at, share removed), ascending."""
    kept, starts = np.minimum(x, bands[0][0]), [at for at, _ in bands] + [math.inf]
    for (at, share), end in zip(bands, starts[1:], strict=True):
        kept = kept + (1 - share) * np.clip(x - at, 0.0, end - at)
    return kept


# ── populations ──────────────────────────────────────────────────────────────────────────────────


def simulate(scenario, replicates, rng, rules=None):
    """Draw populations patient by patient.

    Parameters
    ----------
    scenario : mapping, as parsed from a file
    replicates : int
    rng : numpy.random.Generator
    rules : mapping of name to function of patients' costs

    Returns
    -------
    dict of arrays: gross_cost, excluded_service_cost (replicate, population); excess_cost, above_cost, n_above
    (replicate, population, threshold); members (replicate, population, segment); and each rule's kept cost. With units,
    populations are the units.
    """
    if scenario["population"].get("parameter_sets"):
        return _under_sets_in_turn(scenario, replicates, rng, rules)
    population, rules = scenario["population"], rules or {}
    segments, units = population["segments"], population.get("units", [])
    shares = np.array([s["share"] for s in segments])
    laws, at = [law_of(s["severity"]) for s in segments], amounts(scenario)
    factor = common_factors(scenario, replicates, rng)
    if units:
        people = [unit["members"] for unit in units]
        mixes = [
            np.array([unit["shares"].get(s["name"], 0.0) for s in segments]) if unit.get("shares") else shares
            for unit in units
        ]
        heads = [head_counts(n, mix) for n, mix in zip(people, mixes, strict=True)]
    else:
        sizes = scenario["simulation"]["population_sizes"]
        people = np.diff(sizes, prepend=0)
        mixes = [shares] * len(sizes)
        heads = np.diff([head_counts(n, shares) for n in sizes], axis=0, prepend=0)
    count = len(people)
    out = {name: np.zeros((replicates, count)) for name in ("gross_cost", "excluded_service_cost", *rules)}
    out |= {name: np.zeros((replicates, count, at.shape[1])) for name in ("excess_cost", "above_cost", "n_above")}
    out["members"] = np.zeros((replicates, count, len(segments)), int)

    def meet(x, r, i, thresholds):
        """Let patients of these costs meet rules and thresholds."""
        out["gross_cost"][r, i] += x.sum()
        for name, rule in rules.items():
            out[name][r, i] += rule(x).sum()
        for d, amount in enumerate(thresholds):
            high = x[x > amount]
            out["excess_cost"][r, i, d] += (high - amount).sum() if high.size else 0.0
            out["above_cost"][r, i, d] += high.sum()
            out["n_above"][r, i, d] += high.size

    for i in range(count):
        sampled = population.get("membership") == "sampled"
        mix = (
            rng.multinomial(people[i], mixes[i] / mixes[i].sum(), size=replicates)
            if sampled
            else np.tile(heads[i], (replicates, 1))
        )
        out["members"][:, i] = mix
        for s, segment in enumerate(segments):
            users = [int((rng.random(n) < segment.get("p_user", 1.0)).sum()) for n in mix[:, s]]
            costs = np.split(laws[s].draw(rng, sum(users)), np.cumsum(users)[:-1])
            for r in range(replicates):
                meet(costs[r] * factor[segment["name"]][r], r, i, at[s])
        for service in population.get("rare_services", []):
            events = rng.poisson(service["rate_per_100k"] / 100_000 * people[i], size=replicates)
            prices = np.split(law_of(service["price"]).draw(rng, events.sum()), np.cumsum(events)[:-1])
            for r in range(replicates):
                paid = prices[r] * factor[service["name"]][r]
                if service.get("in_scope", True):
                    meet(paid, r, i, at[-1])
                else:
                    out["excluded_service_cost"][r, i] += paid.sum()
    return out if units else {name: np.cumsum(values, axis=1) for name, values in out.items()}


def _under_sets_in_turn(scenario, replicates, rng, rules):
    """Replicate r under set r mod their number, each set a scenario of its own."""
    sets = scenario["population"]["parameter_sets"]
    number = len(next(values for name, values in sets[0].items() if name != "segment"))
    out = {}
    for b in range(number):
        changed = copy.deepcopy(scenario)
        del changed["population"]["parameter_sets"]
        for part in sets:
            (segment,) = (s for s in changed["population"]["segments"] if s["name"] == part["segment"])
            for name in part.keys() - {"segment"}:
                target = segment if name == "p_user" else segment["severity"]
                for step in name.split(".")[:-1]:
                    target = target[step]
                target[name.split(".")[-1]] = part[name][b]
        for name, values in simulate(changed, len(range(b, replicates, number)), rng, rules).items():
            out.setdefault(name, np.zeros((replicates, *values.shape[1:]), values.dtype))[b::number] = values
    return out


def benchmark_error_variance(weights, correlation):
    """Var(C₀ − Σ w_k C_k) in units of σ²/n; weights oldest first. One year, ρ = 0.5: 1 + 1 − 1 = 1."""
    signs = [1.0, *(-weight for weight in reversed(weights))]
    rho = lambda lag: 1.0 if lag == 0 else correlation[min(lag, len(correlation)) - 1]  # noqa: E731
    return sum(a * b * rho(abs(i - j)) for i, a in enumerate(signs) for j, b in enumerate(signs))


# ── years of partly the same people ──────────────────────────────────────────────────────────────


def covariance_of_years(start, chain, means, squares, groups, years):
    """Cov(S_t, S_u) a head over years of one place, by listing every path of states; a group's share is fixed."""
    states = range(len(start))
    found = [[0.0] * years for _ in range(years)]
    for group in groups:
        share = sum(start[z] for z in group)
        expected, product = [0.0] * years, [[0.0] * years for _ in range(years)]
        for path in itertools.product(states, repeat=years):
            chance = start[path[0]] / share if path[0] in group else 0.0
            for here, there in itertools.pairwise(path):
                chance *= chain[here][there]
            for t in range(years):
                expected[t] += chance * means[path[t]]
                for u in range(years):
                    product[t][u] += chance * (squares[path[t]] if t == u else means[path[t]] * means[path[u]])
        for t in range(years):
            for u in range(years):
                found[t][u] += share * (product[t][u] - expected[t] * expected[u])
    return found


def persons_over_years(segments, moves, leavers, slabs, weights, stay, people, seed):
    """Two years of persons: a class that belongs to each, a rank in a slab that the class makes likely, and its cost.

    `segments` are (share, chance of a cost, mean, cv) of lognormal costs. Of those in the costliest share of the first
    year who are still there: how many, the share that is among the costliest again, and its standard error.
    """
    rng = np.random.default_rng(seed)
    weights, width = np.array(weights), np.diff(slabs)
    shares = width @ weights

    def costs(need, kind):
        cost = np.zeros(people)
        slab = np.zeros(people, int)
        for k in range(shares.size):
            mine = kind == k
            slab[mine] = rng.choice(width.size, p=width * weights[:, k] / shares[k], size=mine.sum())
        rank = np.array(slabs)[slab] + width[slab] * rng.random(people)  # 0 is the costliest of the segment
        for h, (_, p, mean, cv) in enumerate(segments):
            sigma = math.sqrt(math.log1p(cv**2))
            here = (need == h) & (rank < p)
            normal = stats.norm.isf(np.maximum(rank[here] / p, 1e-300))
            cost[here] = mean * np.exp(sigma * normal - sigma**2 / 2)
        return cost

    need = rng.choice(len(segments), p=np.array([s[0] for s in segments]) / sum(s[0] for s in segments), size=people)
    kind = rng.choice(shares.size, p=shares / shares.sum(), size=people)
    first = costs(need, kind)
    later, luck = need.copy(), rng.random(people)
    for (here, there), chance in moves.items():
        later[(need == here) & (luck < chance)] = there
    afresh = rng.random(people) >= stay
    kind = np.where(afresh, rng.choice(shares.size, p=shares / shares.sum(), size=people), kind)
    second, there = costs(later, kind), rng.random(people) >= leavers
    out = {}
    for top in (0.01, 0.1):
        # the amount that the share exceeds, on either year's law: the mix of segments is kept by whoever enters
        cut = optimize.brentq(lambda x, top=top: _exceed(segments, x) - top, 1.0, 1e8)
        chosen = (first > cut) & there
        again = float((second[chosen] > cut).mean())
        out["again", top] = float((first > cut).mean()), again, math.sqrt(again * (1 - again) / chosen.sum())
    return out


def _exceed(segments, x):
    total = 0.0
    for share, p, mean, cv in segments:
        sigma = math.sqrt(math.log1p(cv**2))
        total += share * p * stats.norm.sf((math.log(x / mean) + sigma**2 / 2) / sigma)
    return total / sum(s[0] for s in segments)


# ── services ─────────────────────────────────────────────────────────────────────────────────────


def lines_of_services(scenario, replicates, rng, at=math.inf):
    """Each service's line of the gross cost and of the cost capped at `at`; both (replicate, service).

    Every patient's cost is split by a Dirichlet vector of its own; `kappa` may be infinite.
    """
    population, law = scenario["population"], scenario.get("service_split", {})
    kappa, dear, services = law.get("kappa", math.inf), law.get("above", math.inf), scenario["services"]
    n = scenario["simulation"]["population_sizes"][0]
    heads = head_counts(n, [segment["share"] for segment in population["segments"]])
    gross, capped = np.zeros((2, replicates, len(services)))

    def weights(segment, key):
        given = [service.get(key, service.get("share", 0.0)) for service in services]
        return np.array([one.get(segment, 0.0) if isinstance(one, dict) else one for one in given])

    laws = [law_of(segment["severity"]) for segment in population["segments"]]
    prices = [law_of(rare["price"]) for rare in population.get("rare_services", ())]
    for r in range(replicates):
        for segment, people, law in zip(population["segments"], heads, laws, strict=True):
            cost = law.draw(rng, rng.binomial(people, segment.get("p_user", 1.0)))
            for high in (False, True):
                x = cost[(cost > dear) == high]
                w = weights(segment["name"], "share_above" if high else "share")
                v = np.tile(w, (x.size, 1))
                if math.isfinite(kappa):
                    v = rng.standard_gamma(kappa * np.maximum(w, 1e-300), (x.size, w.size)) * (w > 0)
                    v /= v.sum(axis=1, keepdims=True)
                gross[r] += x @ v
                capped[r] += np.minimum(x, at) @ v
        for rare, price in zip(population.get("rare_services", ()), prices, strict=True):
            events = price.draw(rng, rng.poisson(n * rare["rate_per_100k"] / 100_000))
            owner = [rare["name"] in service.get("rare_services", ()) for service in services].index(True)
            gross[r, owner] += events.sum()
            capped[r, owner] += np.minimum(events, at).sum()
    return gross, capped
