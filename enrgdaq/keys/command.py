"""``enrgdaq keys``: makes keys and says who may come in. Works with files only.

A running supervisor sees a change within a second; nothing has to be restarted.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import msgspec

from enrgdaq.keys.files import ROLES, AllowedKey, Role
from enrgdaq.keys.folder import KeyFolder

HELP = """\
Every TCP connection between nodes, and to a node, is encrypted, and both sides prove who they
are by a key. A key has two halves: the secret one stays on the host where it was made, the
public one is given to whoever is to know it. A node lets in the public keys that it was told
to, each with one role:

  observer   reads: status, logs, events
  operator   reads, and commands: restart, stop, start, change, shut down
  node       links: another supervisor that sends and gets data

step by step: alice at home is to command the node "hub"
  1. on hub:            enrgdaq keys new hub
  2. at home:           enrgdaq keys new alice
  3. copy alice.public.toml to hub, and hub.public.toml into alice's folder of keys
  4. on hub:            enrgdaq keys allow alice.public.toml --role operator
  5. at home:           enrgdaq status --attach tcp://hub:1638
and when alice has left:
  6. on hub:            enrgdaq keys revoke alice

The folder of keys lies beside supervisor.toml (its keys_dir), by default configs/keys; where
there is no folder of configs, in ~/.config/enrgdaq/keys. It is not to be read by others.
"""
_NEW = """\
Makes NAME.secret.toml, which stays here, and NAME.public.toml, which is copied to where NAME is
to come in. A node's own key is called as the node: the supervisor_id of its supervisor.toml.
"""
_ALLOW = """\
FILE is the NAME.public.toml of whoever is to come in. Allowing a key again changes its role.
See 'enrgdaq keys --help' for the roles. A running supervisor sees it within a second.
"""
_REVOKE = """\
The key's connections end within a second; it is refused from then on. It can be allowed again.
"""


def add_options(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The commands below ``keys``; returns their parsers."""
    actions = parser.add_subparsers(title="commands", dest="action", required=True)

    def add(name: str, text: str, more: str) -> argparse.ArgumentParser:
        return actions.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.\n\n{more}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    new = add("new", "make a key for this host or for yourself", _NEW)
    new.add_argument("name", metavar="NAME", help="letters, digits, dot, dash, underscore")
    allow = add("allow", "let a key in, with a role", _ALLOW)
    allow.add_argument("file", metavar="FILE", type=Path, help="NAME.public.toml")
    allow.add_argument("--role", required=True, choices=ROLES, help="what it may do")
    show = add("list", "show the keys that are here and who may come in", "")
    show.add_argument("--json", action="store_true", help="one JSON object on one line")
    revoke = add("revoke", "let a key in no longer", _REVOKE)
    revoke.add_argument("name", metavar="NAME", help="as 'enrgdaq keys list' shows it")
    return [new, allow, show, revoke]


def run(options: argparse.Namespace, folder: KeyFolder) -> Iterable[str]:
    """Carry out one of them; returns what to print."""
    folder.check()
    if options.action == "new":
        return _new(folder, options.name)
    if options.action == "allow":
        return _allow(folder, options.file, options.role)
    if options.action == "revoke":
        key = folder.revoke(options.name)
        return [f"{key.name} may come in no longer; running supervisors act within a second"]
    return [_as_json(folder)] if options.json else _table(folder)


def _new(folder: KeyFolder, name: str) -> list[str]:
    public = folder.new(name)
    return [
        f"made {folder.secret_file(name)} (stays here) and",
        f"     {public} (to be copied)",
        "next:",
        f"  to come in somewhere as {name}: copy {public.name} there, and there run",
        f"    enrgdaq keys allow {public.name} --role {'|'.join(ROLES)}",
        f"  to let others come in to {name}: give them {public.name} for their folder of keys,",
        "    and allow their public keys here",
    ]


def _allow(folder: KeyFolder, file: Path, role: Role) -> list[str]:
    key = folder.allow(file, role)
    lines = [f"{key.name} may come in as {key.role}; running supervisors act within a second"]
    own = [name for name in folder.own_names() if folder.public_file(name).exists()]
    if own:
        files = " or ".join(str(folder.public_file(name)) for name in own)
        return [*lines, f"next: give {key.name} this node's public key, {files}"]
    return [*lines, "next: this node needs a key of its own: enrgdaq keys new SUPERVISOR_ID"]


def _table(folder: KeyFolder) -> list[str]:
    allowed, revoked = folder.allowed(), folder.revoked()
    lines = [f"folder   {folder.path}"]
    lines += [f"own      {name}" for name in folder.own_names()]
    lines += [f"server   {name}" for name in folder.server_names()]
    lines += [_line("allowed", key) for key in allowed] + [_line("revoked", key) for key in revoked]
    if not allowed:
        lines.append("nobody may come in; 'enrgdaq keys --help' says how to let somebody in")
    return lines


def _line(state: str, key: AllowedKey) -> str:
    return f"{state}  {key.name:<24} {key.role:<8}  {key.since}  {key.public}"


def _as_json(folder: KeyFolder) -> str:
    found = {
        "folder": str(folder.path),
        "own": folder.own_names(),
        "servers": folder.server_names(),
        "allowed": folder.allowed(),
        "revoked": folder.revoked(),
    }
    return msgspec.json.encode(found).decode()
