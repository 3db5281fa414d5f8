"""Limits and p-values by other hands: SciPy, MAPIE, confseq and crepes where they are right, and plain NumPy.

Every function is one-sided and takes what ours of the same name takes. `losses` are float64 arrays in [0, 1].
"""

import math
from fractions import Fraction

import numpy as np
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value, get_r_hat_plus
from scipy import stats

try:
    from confseq.betting import betting_mart
    from confseq.betting_strategies import lambda_predmix_eb
except ImportError:
    betting_mart = None


def exact_sum(losses):
    return sum((Fraction(x) for x in losses.tolist()), Fraction(0))


def outer_end(holds, low, high):
    """The least double in (low, high] that `holds`, by bisection down to neighbours; `holds` is false, then true."""
    while (middle := 0.5 * (low + high)) not in (low, high):
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


# ---- counts ----


def clopper_pearson_upper(violations, n, beta):
    return 1.0 if violations == n else float(stats.beta.isf(beta, violations + 1, n - violations))


def clopper_pearson_lower(violations, n, beta):
    return 0.0 if violations == 0 else float(stats.beta.ppf(beta, violations, n - violations + 1))


def binomtest_upper(violations, n, beta):
    return float(stats.binomtest(violations, n, alternative="less").proportion_ci(1.0 - beta, "exact").high)


def binomtest_lower(violations, n, beta):
    return float(stats.binomtest(violations, n, alternative="greater").proportion_ci(1.0 - beta, "exact").low)


def binomial_p(violations, n, risk):
    return float(stats.binomtest(violations, n, risk, alternative="less").pvalue)


def mapie_binomial_p(violations, n, risk):
    """Its Bentkus for 0/1 losses. It takes the mean, and n * mean may miss the count: see mapie_count_is_lost()."""
    return float(compute_hoeffding_bentkus_p_value(np.array([violations / n]), n, risk, binary=True)[0, 0])


def mapie_count_is_lost(violations, n):
    return math.ceil(float(n) * (violations / n)) != violations


def minimum_samples(risk, beta, violations):
    n = violations + 1
    while stats.binom.cdf(violations, n, risk) > beta:
        n += 1
    return n


# ---- graded losses ----


def hoeffding_bentkus_tail(total, n, risk):
    """`total` is an exact fraction: a sum just above a whole number has another ceiling."""
    mean = float(total / n)
    if mean >= risk:
        return 1.0
    near = mean * math.log(mean / risk) if mean > 0.0 else 0.0
    kl = near + ((1.0 - mean) * math.log((1.0 - mean) / (1.0 - risk)) if risk < 1.0 else math.inf)
    return min(1.0, math.exp(-n * kl), math.e * float(stats.binom.cdf(math.ceil(total), n, risk)))


def hoeffding_bentkus_p(losses, risk):
    return hoeffding_bentkus_tail(exact_sum(losses), len(losses), risk)


def hoeffding_bentkus_bound(total, n, beta):
    return outer_end(lambda risk: risk == 1.0 or hoeffding_bentkus_tail(total, n, risk) <= beta, float(total / n), 1.0)


def hoeffding_bentkus_upper(losses, beta):
    return hoeffding_bentkus_bound(exact_sum(losses), len(losses), beta)


def hoeffding_bentkus_lower(losses, beta):
    return 1.0 - hoeffding_bentkus_bound(len(losses) - exact_sum(losses), len(losses), beta)


def mapie_ceiling_is_lost(losses):
    return math.ceil(len(losses) * losses.mean()) != math.ceil(exact_sum(losses))


def mapie_hoeffding_bentkus_p(losses, risk):
    return float(min(1.0, compute_hoeffding_bentkus_p_value(np.array([losses.mean()]), len(losses), risk)[0, 0]))


def empirical_bernstein_upper(losses, beta):
    n = len(losses)
    if n == 1:
        return 1.0
    log = math.log(2.0 / beta)
    return min(1.0, losses.mean() + math.sqrt(2.0 * losses.var(ddof=1) * log / n) + 7.0 * log / (3.0 * (n - 1)))


def mapie_bernstein_upper(losses, beta):
    """Right since it takes the variance of the losses; earlier releases took that of their means across thresholds."""
    return min(1.0, float(get_r_hat_plus(losses[:, None], np.array([0.5]), "rcps", "bernstein", beta, 0.25)[1][0]))


def bets(losses, beta):
    """nu_1 ... nu_n of Waudby-Smith and Ramdas: each knows the losses before it only."""
    count = np.arange(1, len(losses) + 1)
    mean = (0.5 + np.cumsum(losses)) / (count + 1)
    variance = (0.25 + np.cumsum((losses - mean) ** 2)) / (count + 1)
    before = np.concatenate([[0.25], variance[:-1]])
    return np.minimum(1.0, np.sqrt(2.0 * math.log(1.0 / beta) / (len(losses) * before)))


def log_wealth(losses, risk, beta):
    """Most that the gambler against "the mean is at least `risk`" ever had."""
    with np.errstate(divide="ignore"):
        return max(0.0, float(np.cumsum(np.log1p(-bets(losses, beta) * (losses - risk))).max()))


def betting_p(losses, risk):
    return math.exp(-log_wealth(losses, risk, 0.05))


def betting_upper(losses, beta):
    enough = math.log(1.0 / beta)
    return outer_end(lambda risk: risk == 1.0 or log_wealth(losses, risk, beta) >= enough, 0.0, 1.0)


def confseq_wealth(losses, risk, beta):
    def same_bets(x, _):
        return lambda_predmix_eb(x, truncation=1.0, alpha=beta, fixed_n=len(x))

    wealth = betting_mart(losses, risk, lambdas_fn_negative=same_bets, theta=0, trunc_scale=1, m_trunc=False)
    return max(1.0, float(np.max(wealth)))


def confseq_betting_p(losses, risk):
    return 1.0 / confseq_wealth(losses, risk, 0.05)


def confseq_betting_upper(losses, beta):
    return outer_end(lambda risk: risk == 1.0 or confseq_wealth(losses, risk, beta) >= 1.0 / beta, 0.0, 1.0)


def mirrored(upper):
    """Lower limits are upper limits of 1 - loss."""
    return lambda losses, beta: 1.0 - upper(1.0 - losses, beta)


def mapie_betting_refutes(losses, risk, beta):
    """Whether MAPIE's betting limit is below `risk`: with one candidate it returns that or 1."""
    return get_r_hat_plus(losses[:, None], np.array([risk]), "rcps", "wsr", beta, 0.25)[1][0] < 1.0


# ---- ranks ----


def split_conformal(scores, risk):
    """In exact fractions; the sorted score of rank ceil((n + 1) (1 - risk))."""
    return float(np.sort(scores)[math.ceil((len(scores) + 1) * (1 - Fraction(risk))) - 1])


def crepes_split_conformal(scores, risk):
    from crepes import ConformalRegressor

    interval = ConformalRegressor().fit(residuals=scores).predict_int(np.zeros(1), confidence=1.0 - risk)
    return float(interval[0, 1])


def tolerance(scores, risk, beta):
    n = len(scores)
    ranks = (r for r in range(1, n + 1) if stats.binom.cdf(n - r, n, risk) <= beta)
    return float(np.sort(scores)[next(ranks) - 1])
