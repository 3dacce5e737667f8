"""The settings of `[alerts]`, as those who look and those who send take them.

Its URLs are the operator's own: unlike those of jobs, they may lead anywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from booper.clock import Clock, SystemClock, monotonic
from booper.config import Config
from booper.engine.agents import Agent
from booper.engine.alert_channels import AlertChannel, WebhookChannel
from booper.engine.alert_clock import ClockWatch
from booper.engine.alert_findings import Watched
from booper.engine.alert_observer import AlertObserver
from booper.engine.alert_sender import AlertSender
from booper.engine.alerts import AlertRules, Alerts
from booper.engine.delivery import Delivery
from booper.engine.heartbeat import Heartbeat
from booper.engine.mail import MailChannel, MailServer, Security
from booper.engine.origin_map import OriginMap
from booper.engine.pinger import Pinger
from booper.engine.scheduler import Scheduler
from booper.engine.signing import Secret
from booper.guard.policy import Guard
from booper.guard.target import parse_target
from booper.http.base import Client
from booper.http.connecting import trusting_context
from booper.model.alert import parse_interests
from booper.model.duration import parse_duration
from booper.store.base import Store
from booper.upkeep import Upkeep
from booper.wire.alert import Form

MAX_RESPONSE_BYTES: Final = 4_096


def alert_rules(config: Config) -> AlertRules:
    """Return what makes an alert."""
    alerts = config.alerts
    return AlertRules(
        interests=parse_interests(alerts.events),
        failures=alerts.failures,
        late=parse_duration(alerts.late),
        disk_free_bytes=alerts.disk_free_bytes,
        repeat=parse_duration(alerts.repeat),
    )


def alert_delivery(
    config: Config, client: Client, guard: Guard, origins: OriginMap | None
) -> Delivery:
    """Return what sends booper's own requests, past the guard that jobs have."""
    urls = filter(None, (config.alerts.url, config.alerts.heartbeat_url))
    hosts = sorted({parse_target(url).host for url in urls})
    return Delivery(client, guard.trusting(hosts), MAX_RESPONSE_BYTES, origins=origins)


def alert_channels(config: Config, delivery: Delivery, user_agent: str) -> Sequence[AlertChannel]:
    """Return the ways in which alerts are sent, none where none is set."""
    alerts, public_url = config.alerts, str(config.server.public or "")
    channels = list[AlertChannel]()
    if alerts.url:
        secrets = [Secret.parse(text) for text in config.webhooks.secret]
        form = Form(alerts.form)
        channels.append(WebhookChannel(delivery, alerts.url, form, user_agent, public_url, secrets))
    if alerts.smtp_host:
        server = MailServer(
            host=alerts.smtp_host,
            port=alerts.smtp_port,
            security=Security(alerts.smtp_security),
            user=alerts.smtp_user,
            password=alerts.smtp_password,
            sender=alerts.from_,
            receivers=alerts.to,
        )
        channels.append(MailChannel(server, public_url, trusting_context))
    return channels


@dataclass(frozen=True, slots=True)
class Alarm:
    """The agents of a holder that look for what is wrong, and tell."""

    alerts: Alerts
    observer: AlertObserver
    sender: AlertSender
    pinger: Pinger
    user_agent: str

    @property
    def is_heard(self) -> bool:
        """Return whether alerts, or that all is well, are sent to anybody."""
        return self.sender.has_channels or self.pinger.is_wanted

    @property
    def agents(self) -> Mapping[str, Agent]:
        """Return all agents by their names."""
        return {
            "alerts": self.alerts.run,
            "alert sender": self.sender.run,
            "pinger": self.pinger.run,
        }

    def use(self, config: Config, client: Client, guard: Guard, origins: OriginMap | None) -> None:
        """Go on by other settings."""
        delivery = alert_delivery(config, client, guard, origins)
        self.alerts.use(alert_rules(config))
        self.sender.use(alert_channels(config, delivery, self.user_agent))
        self.pinger.use(delivery, config.alerts.heartbeat_url)


def alarm_of(
    config: Config,
    store: Store,
    scheduler: Scheduler,
    upkeep: Upkeep,
    heartbeat: Heartbeat,
    delivery: Delivery,
    user_agent: str,
    clock: Clock,
    random: Random,
) -> Alarm:
    """Return the agents of a holder that is made of these parts."""
    observer = AlertObserver(lambda origin: scheduler.breakers.find(origin) is not None)
    is_machine = isinstance(clock, SystemClock)
    alerts = Alerts(
        store.alerting,
        _watched(store, scheduler, upkeep, is_machine=is_machine),
        alert_rules(config),
        clock,
        random,
        ClockWatch(clock.now(), monotonic if is_machine else None),
        observer,
    )
    sender = AlertSender(alerts, alert_channels(config, delivery, user_agent), clock)
    pinger = Pinger(heartbeat.beat, delivery, config.alerts.heartbeat_url, user_agent, clock)
    return Alarm(alerts, observer, sender, pinger, user_agent)


def _watched(store: Store, scheduler: Scheduler, upkeep: Upkeep, *, is_machine: bool) -> Watched:
    backups, space = upkeep.backups, upkeep.space
    return Watched(
        breakers=scheduler.breakers.open,
        backups=None if backups is None else lambda: backups.status,
        is_over_size=lambda: space.status.is_over_size if space.status.is_known else None,
        loop_age_seconds=(lambda: scheduler.turns.age_seconds) if is_machine else None,
        disk_free=store.vitals.disk_free,
        check_writable=store.check_writable,
    )
