"""A small general RFC 9421 signature base builder, for tests only.

It knows nothing of our profile: components are looked up one by one, as sections 2 and 2.5 say, so that
it can confirm both the RFC's own vectors and what the profile builds at one stroke.
"""

from collections.abc import Mapping, Sequence


def base(components: Sequence[tuple[str, str]], parameters: str) -> bytes:
    """`components` are names and values in covered order; `parameters` what follows the list, from the first `;`."""
    covered = " ".join(f'"{name}"' for name, _ in components)
    lines = [f'"{name}": {value.strip()}' for name, value in components]
    return "\n".join([*lines, f'"@signature-params": ({covered}){parameters}']).encode()


def of_request(method: str, path: str, headers: Mapping[str, str], covered: Sequence[str], parameters: str) -> bytes:
    derived = {"@method": method, "@path": path, "@authority": headers.get("host", "").lower()}
    return base([(name, derived[name] if name in derived else headers[name]) for name in covered], parameters)


def of_answer(status: int, headers: Mapping[str, str], covered: Sequence[str], parameters: str) -> bytes:
    return base([(name, str(status) if name == "@status" else headers[name]) for name in covered], parameters)
