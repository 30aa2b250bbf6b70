"""The demo shop: a whole consumer business that never was, written night by night as a shop's systems would deliver it, with its truth beside.

Add a module here when a new part of the business is simulated. Nothing of the pipeline may read this package or the truth it writes,
and nothing here may read the pipeline: `userops simulate` writes files, the source `demo_shop` reads them like any shop's.

The generative model
--------------------
Time. Processes run in *operational days*: a clock that runs faster on busy days (weekly and yearly seasonality, mean 1), turned into local
time by the hours of the day. So a user's true rate is one number although the shop is seasonal.

Growth. People arrive with density `1 + growth * t` plus a launch wave; half of them visit anonymously before they register, a fifth never register.

Purchases. Modified BG/NBD, see `purchases`: a user buys at the rate lambda ~ Gamma(0.8), at registration and after every purchase leaves for good
with probability p ~ Beta(1.2, 8). (Fader, Hardie, Lee 2005, "Counting Your Customers the Easy Way: An Alternative to the Pareto/NBD Model",
Marketing Science 24(2); Batislam, Denizel, Filiztekin 2007, "Empirical validation and comparison of models for customer base analysis",
International Journal of Research in Marketing 24(3).) Treatments multiply the rate by thinning (Lewis, Shedler 1979, "Simulation of
nonhomogeneous Poisson processes by thinning", Naval Research Logistics Quarterly 26(3)), so that they are exact.

Visits. A Poisson process per person with Gamma rates that go up with the purchase rate; faster when new, after an order more than before, slow after
dropout, and over at an exponential time after it. A visit is a path drawn from Markov chains (list, detail, cart, checkout, pay ...).

What keeps people. Whoever follows a topic is told of what is new in it: from the next day on their visits come `1 + FOLLOW_LIFT` times as often,
for good. That is the one behaviour with an effect, and it is on visits alone; what people buy, and when they leave, does not depend on it. Liking,
sharing, searching and the rest change nothing: they are more common among those who come more often anyway. `truth/behaviours` says so by event.

Messages. A delivered message lifts the purchase rate for some days by the user's uplift; opening, clicking and the lift fall by exp(-fatigue * pressure),
opting out and complaining rise with pressure, the count of recent touches decayed over a week. A random holdout never gets any.

Experiments. `welcome_offer` multiplies the purchase rate for 30 days by 1 + effect, effect = 0.4 * price sensitivity (mean 0.16); `checkout_button`
does nothing; `marketing_holdout` gets no message.

Randomness. Every part of every day draws from its own stream of (seed, part, day), so files do not depend on the time zone, the locale, the
number of cores, or on how the work is cut. The numpy version is part of the seed.
"""

from userops_pipeline.simulate.settings import Settings
from userops_pipeline.simulate.shop import Outcome, simulate

__all__ = ["Outcome", "Settings", "simulate"]
