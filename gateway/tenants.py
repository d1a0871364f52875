"""Whom a request claims to be from, before anything of it is believed. Kept current by the pool view.

A tenant is recognised by the first label of the host name, as in Scalelite, or by the path /t/<tenant>/. Without multitenancy
everybody is the one tenant of the settings.
"""

import re
import secrets
from collections.abc import Iterable

from starlette.requests import HTTPConnection

from meetingpool.domain.meetings import DEFAULT_TENANT
from meetingpool.domain.tenants import Tenant
from meetingpool.settings import Settings

_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


class Tenants:
    """The tenants of one process, by their names."""

    def __init__(self, settings: Settings) -> None:
        self.are_many = settings.multitenancy_enabled
        # Signs what concerns the installation and no tenant of it; without multitenancy, everything.
        self.installation = Tenant(id=DEFAULT_TENANT, name=DEFAULT_TENANT, secrets=settings.secrets)
        # A stranger's call is verified like everybody's, so that neither the answer nor its time tells which tenants there are.
        self._nobody = Tenant(id="", name="", secrets=(secrets.token_hex(32),))
        self._by_name: dict[str, Tenant] = {}
        self._by_id: dict[str, Tenant] = {}
        self.configured_url = settings.base_url
        self._url_host = (settings.url_host or "").lower()
        self._own_host = settings.bind

    def replace(self, tenants: Iterable[Tenant]) -> None:
        """Takes the given tenants for all there are."""
        listed = list(tenants)
        self._by_name = {tenant.name: tenant for tenant in listed}
        self._by_id = {tenant.id: tenant for tenant in listed}

    def recognise(self, request: HTTPConnection) -> Tenant:
        """The tenant that the request names; for a name that is nobody's, one whose secret nobody knows."""
        if not self.are_many:
            return self.installation
        name = request.path_params.get("tenant") or self._name_in(request.headers.get("host", ""))
        return self._by_name.get(name.lower(), self._nobody)

    def named(self, name: str) -> Tenant | None:
        return self._by_name.get(name.lower())

    def of(self, tenant_id: str) -> Tenant | None:
        """The tenant with this id, while there is one."""
        return self._by_id.get(tenant_id) if self.are_many else self.installation

    def limited(self) -> list[Tenant]:
        """Those that may only have so many people at once."""
        return [tenant for tenant in self._by_id.values() if tenant.max_users is not None]

    def base_url(self, request: HTTPConnection) -> str:
        """Where servers reach this installation: the configured address, else our own end of the connection.

        Not what the request calls us: no checksum covers that, and servers would call whomever it names.
        """
        return self.configured_url or self._address_of(request)

    def api_url(self, tenant: Tenant, request: HTTPConnection) -> str:
        """The endpoint of a tenant's API."""
        if self._url_host:
            return f"https://{tenant.name}.{self._url_host}/bigbluebutton/api/"
        return f"{self.configured_url or self._named_by(request)}/t/{tenant.name}/bigbluebutton/api/"

    def public_url(self, tenant: Tenant, request: HTTPConnection) -> str:
        """Where browsers find what the tenant has here, such as recordings.

        What the request calls us will do, where no setting says better: the answer goes to whoever sent it, and to nobody else.
        """
        if self.are_many and "tenant" in request.path_params:
            return f"{self.configured_url or self._named_by(request)}/t/{tenant.name}"
        if self.are_many:
            return f"https://{tenant.name}.{self._url_host}" if self._url_host else self._named_by(request)
        return self.configured_url or self._named_by(request)

    def _named_by(self, request: HTTPConnection) -> str:
        host = request.headers.get("host", "")
        return f"{request.scope['scheme']}://{host}" if _HOST.fullmatch(host) else self._address_of(request)

    def _address_of(self, request: HTTPConnection) -> str:
        host, port = request.scope.get("server") or (self._own_host, None)
        return f"http://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"

    def _name_in(self, host: str) -> str:
        name, _, rest = host.lower().partition(".")
        return name if not self._url_host or rest.partition(":")[0] == self._url_host else ""
