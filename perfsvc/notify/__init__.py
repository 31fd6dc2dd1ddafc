"""Tell people: messages are composed, wait in the outbox, and leave through channels until one has taken them."""

from perfsvc.notify.channels import LogFile
from perfsvc.notify.message import Message, compose
from perfsvc.notify.outbox import SENDING, Channel, retry_at
from perfsvc.notify.targets import channels

__all__ = ["SENDING", "Channel", "LogFile", "Message", "channels", "compose", "retry_at"]
