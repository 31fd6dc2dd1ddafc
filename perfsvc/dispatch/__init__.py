"""Bring a job to its runner. Embedded: a queue of one per local device, in this process. (Poll and Celery: to come.)"""

from perfsvc.dispatch.embedded import Embedded

__all__ = ["Embedded"]
