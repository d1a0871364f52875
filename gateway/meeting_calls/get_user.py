"""getUser: how Greenlight, where it serves many tenants itself, finds a tenant's endpoint and secret.

Signed with the secret of the installation, which is told everything that a tenant may do.
"""

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.state import Gateway
from meetingpool.bbb import xml
from meetingpool.bbb.errors import NoSuchUser, UnsupportedRequest


async def get_user(gateway: Gateway, call: Call) -> Response:
    if not gateway.tenants.are_many:
        raise UnsupportedRequest("There are no tenants here; MULTITENANCY_ENABLED is off.")
    tenant = gateway.tenants.named(call.text("name") or "")
    if tenant is None:
        raise NoSuchUser
    user = [("name", tenant.name), ("apiURL", gateway.tenants.api_url(tenant, call.request)), ("secret", tenant.secrets[0])]
    return xml_answer(xml.response(("returncode", "SUCCESS"), ("user", user)))
