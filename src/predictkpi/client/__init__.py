"""A client of the HTTP API, for Python programs: it needs `requests` and nothing else.

::

    from predictkpi.client import Client

    client = Client("https://forecasts.example.com", key="pkpi_...")
    for deal in client.deals(owner="Dana Fields", sort="-expected_value"):
        print(deal["label"], deal["prediction"])
"""

from predictkpi.client.client import Client
from predictkpi.client.transport import ProblemError

__all__ = ["Client", "ProblemError"]
