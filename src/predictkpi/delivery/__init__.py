"""What leaves predictkpi for other systems. Messages go to a webhook as Standard Webhooks (standardwebhooks.com) describes them."""

from predictkpi.delivery.message import Message
from predictkpi.delivery.schedule import delay_after
from predictkpi.delivery.signature import new_secret, sign, verify
from predictkpi.delivery.webhook import Answer, Verdict, Webhook

__all__ = ["Answer", "Message", "Verdict", "Webhook", "delay_after", "new_secret", "sign", "verify"]
