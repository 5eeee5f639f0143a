"""Who may ask: callers by API key, session or token; what each route asks of them; how often; and the log of who saw what.

Every request has a caller before a route is looked for (`middleware`), so that a new route is closed until it says who may use it
(`permissions`): an application with a route that does not say so does not start.
"""

from predictkpi.service.access.keyring import Access
from predictkpi.service.access.middleware import AccessMiddleware
from predictkpi.service.access.permissions import CurrentCaller, allow, check_routes

__all__ = ["Access", "AccessMiddleware", "CurrentCaller", "allow", "check_routes"]
