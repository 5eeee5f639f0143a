"""Who may ask: callers by API key, session or token; what each route asks of them; how often; and the log of who saw what.

Every request has a caller before a route is looked for, and no answer leaves whose route has not asked what that caller may
(`middleware`, `permissions`): a new route is closed until it says who may use it.
"""

from predictkpi.service.access.keyring import Access
from predictkpi.service.access.middleware import AccessMiddleware
from predictkpi.service.access.permissions import CurrentCaller, allow

__all__ = ["Access", "AccessMiddleware", "CurrentCaller", "allow"]
