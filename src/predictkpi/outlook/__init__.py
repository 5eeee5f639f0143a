"""Will we make the number: revenue in three parts, against the target, with what moved it and what would.

Stands above the predictors and puts two of them together: the revenue predictor's coherent sample paths and the close-time predictor's
draws of the open deals. `replay` decides on the company's own past how far the open deals are to be listened to.
"""

from predictkpi.outlook.outlook import Outlook, make_outlook
from predictkpi.outlook.replay import replay
from predictkpi.outlook.trust import Trust

__all__ = ["Outlook", "Trust", "make_outlook", "replay"]
