"""What leaves predictkpi for other systems. Messages go to a webhook as Standard Webhooks (standardwebhooks.com) describes them."""

from predictkpi.delivery.message import Message
from predictkpi.delivery.signature import new_secret, sign, verify
from predictkpi.delivery.webhook import Receipt, Webhook

__all__ = ["Message", "Receipt", "Webhook", "new_secret", "sign", "verify"]
