"""The options of `meetingpool tenants add` and `set`, which are many."""

from pathlib import Path
from typing import Annotated

import typer

from meetingpool.bbb.checksum import Algorithm

_FROM_INPUT = "- reads a line of standard input."

Text = str | None
Texts = list[str] | None
Files = list[Path] | None

ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Show the secrets too.")]
Secrets = Annotated[Texts, typer.Option("--secret", metavar="S", help=f"What it signs with; may be repeated. {_FROM_INPUT}")]
SecretFiles = Annotated[
    Files, typer.Option("--secret-file", metavar="FILE", help="A file that holds a secret.", exists=True, dir_okay=False)
]
Tags = Annotated[Texts, typer.Option("--tag", metavar="T", help="Only servers with this tag; may be repeated.")]
MaxMeetings = Annotated[int | None, typer.Option(min=0, metavar="N", help="How many meetings may run at once.")]
MaxUsers = Annotated[int | None, typer.Option(min=0, metavar="N", help="How many people may be in them at once.")]
CallbackHosts = Annotated[
    Texts, typer.Option("--callback-host", metavar="H", help="Callbacks go to this host only, or *.domain; may be repeated.")
]
Region = Annotated[Text, typer.Option("--region", metavar="R", help="Its meetings go to servers there, or nearest to there.")]
ChecksumAlgorithms = Annotated[
    list[Algorithm] | None, typer.Option("--checksum-algorithm", help="Only this one is accepted; may be repeated.")
]

NewName = Annotated[Text, typer.Option("--name", metavar="NEW", help="Another name. Its id stays.")]
AddSecrets = Annotated[Texts, typer.Option("--add-secret", metavar="S", help=f"One more secret. {_FROM_INPUT}")]
AddSecretFiles = Annotated[
    Files, typer.Option("--add-secret-file", metavar="FILE", help="A file that holds it.", exists=True, dir_okay=False)
]
First = Annotated[bool, typer.Option("--first", help="The added secret is the one that callbacks are signed with from now on.")]
RemoveSecrets = Annotated[
    Texts, typer.Option("--remove-secret", metavar="N", help=f"The number of a secret, from 1; or the secret: {_FROM_INPUT}")
]
RemoveSecretFiles = Annotated[
    Files, typer.Option("--remove-secret-file", metavar="FILE", help="A file that holds it.", exists=True, dir_okay=False)
]
NoTags = Annotated[bool, typer.Option("--no-tags", help="Its meetings go to any server.")]
NoMaxMeetings = Annotated[bool, typer.Option("--no-max-meetings", help="As many meetings as it likes.")]
NoMaxUsers = Annotated[bool, typer.Option("--no-max-users", help="As many people as it likes.")]
NoCallbackHosts = Annotated[bool, typer.Option("--no-callback-hosts", help="Its callbacks go to any host.")]
NoRegion = Annotated[bool, typer.Option("--no-region", help="Where a meeting goes depends on who creates it.")]
NoChecksumAlgorithms = Annotated[
    bool, typer.Option("--no-checksum-algorithms", help="Those of LOADBALANCER_CHECKSUM_ALGORITHM are accepted.")
]

LrsEndpoint = Annotated[Text, typer.Option(metavar="URL", help="Where servers send its learning records.")]
LrsUsername = Annotated[Text, typer.Option(metavar="NAME", help="Who sends them.")]
LrsPassword = Annotated[Text, typer.Option(metavar="S", help=f"With this password. {_FROM_INPUT}")]
LrsPasswordFile = Annotated[Path | None, typer.Option(metavar="FILE", help="A file that holds it.", exists=True, dir_okay=False)]
KcTokenUrl = Annotated[Text, typer.Option(metavar="URL", help="Instead of a password: where Keycloak gives tokens out.")]
KcClientId = Annotated[Text, typer.Option(metavar="ID", help="The client that asks for them.")]
KcClientSecret = Annotated[Text, typer.Option(metavar="S", help=f"With this secret. {_FROM_INPUT}")]
KcClientSecretFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A file that holds it.", exists=True, dir_okay=False)
]
KcUsername = Annotated[Text, typer.Option(metavar="NAME", help="For this user.")]
KcPassword = Annotated[Text, typer.Option(metavar="S", help=f"With this password. {_FROM_INPUT}")]
KcPasswordFile = Annotated[Path | None, typer.Option(metavar="FILE", help="A file that holds it.", exists=True, dir_okay=False)]
NoLrs = Annotated[bool, typer.Option("--no-lrs", help="No learning records.")]
