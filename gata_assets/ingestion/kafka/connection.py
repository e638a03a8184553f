"""How the brokers are reached, as the settings say it; without the client, which is an extra. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

_CLIENT_ID = "gata"


@dataclass(frozen=True)
class KafkaConnection:
    """The brokers and how to log in.

    Attributes:
        bootstrap_servers: host:port, with commas between.
        security_protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        sasl_mechanism: of SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
        sasl_username: of SASL.
        sasl_password: of SASL; never shown.
        ssl_ca: the file of the certificates that sign the brokers'; None for those of the machine.
    """

    bootstrap_servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_ca: str | None = None

    def client_config(self) -> dict[str, str | int | float | bool]:
        """What every client of confluent_kafka is given, of ours: with the password, so never to be shown."""
        given = {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": _CLIENT_ID,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password,
            "ssl.ca.location": self.ssl_ca,
        }
        return {name: value for name, value in given.items() if value is not None}
