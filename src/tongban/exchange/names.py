"""How things are called on the wire: one pattern a kind of name, used wherever the name is read.

Patterns are texts, to be set into larger ones. None of them can match a line feed, a control
character, a space at either end, or anything beyond ASCII.
"""

from typing import Final

from tongban.identity.identifiers import Domain

MEMBER: Final = "[0-9A-HJ-NPQRTUWXY]{18}"  #: unified social credit code (GB 32100), form only
NODE: Final = "[a-z0-9-]{1,40}"
RESOURCE: Final = "[a-z0-9_]{1,40}/[a-z0-9_]{1,40}"
RULE: Final = "[a-z0-9_]{1,60}@[0-9]{4}-[0-9]{2}-[0-9]{2}"
FIELD: Final = "[a-z][a-z0-9_]{0,59}"
RANDOM: Final = "[A-Za-z0-9_-]{22}"  #: grants and tickets: 16 random bytes in base64url
KEY: Final = "[0-9A-Za-z_-]{1,40}\\.[a-z]{1,20}\\.[0-9]{1,6}"  #: <owner>.<role>.<n>
IDEMPOTENCY: Final = "[A-Za-z0-9_-]{8,64}"
NONCE: Final = "[A-Za-z0-9_-]{16,44}"
DIGEST: Final = "[0-9a-f]{64}"
DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
PLAIN: Final = "[A-Za-z0-9._-]{1,64}"  #: rounds and their parts
#: Purposes, case numbers, staff numbers: printable ASCII, no space at either end, at most 128 characters.
PRINTABLE: Final = "[!-~](?:[ -~]{0,126}[!-~])?"

#: Kinds of subject keys.
DOMAINS: Final = frozenset(domain.value for domain in Domain)
#: Kinds of call.
CALLS: Final = ("query", "verify", "match")
