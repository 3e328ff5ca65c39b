"""What each caution says. Codes are never reused; a sentence without a full stop is a tag.

Source: reviewer-experience.md section 3, "Formatter registry" and "Untrusted text".
"""

from __future__ import annotations

from typing import Final

SENTENCES: Final[dict[str, str]] = {
    # What somebody else wrote: an admin's caution of a template, or a line that guardsite found in the history.
    "said": "{text}",
    # Any value
    "not_inspected": "guardsite could not read this part. Treat it as unknown.",
    "too_much": "Too much to show at once: {count} values are listed without a formatter of their own",
    "lookalike_key": 'The name looks like "{other}", which is also there',
    # Text
    "hidden_characters": "{count} hidden {noun}",
    "hidden_message": "Hidden message in invisible characters",
    "many_marks": "Stacked combining marks",
    "claims_approval": "Claims to be approved - guardsite has no such record",
    "our_words": "Uses the name of guardsite; these words are not guardsite's",
    "links": "{count} {noun} in the text",
    "formula": "Begins like a spreadsheet formula",
    "form": "{count} {noun} that asks for input",
    "remote_image": "{count} remote {noun}: opening it tells the sender",
    "script": "Holds a script",
    "link_target": "Links to {target}",
    "not_in_enum": "Not one of the declared values",
    # Money and numbers
    "float_money": "Sent as a binary float, which cannot hold every amount exactly",
    "unknown_currency": "{currency} is not a known currency",
    "unusual_currency": "{currency} is not among the usual currencies ({usual})",
    "over_limit": "Above the limit {limit}",
    "negative": "The amount is negative",
    "fraction_or_percent": "Between 0 and 1: {fraction} % or {percent} %?",
    "over_hundred": "More than 100 %",
    # Addresses
    "external": "{count} outside your organisation",
    "first_time": "{count} never written to before",
    "many_addresses": "{count} addresses at once",
    "free_mail": "{domain} gives addresses to anyone",
    "bcc": "Blind copy: the other recipients will not see these",
    "address_in_name": "The display name holds another address",
    "look_alike": "{domain} looks like {own}, which is yours",
    "mixed_script": "Letters of several alphabets in one name",
    "confusable": "Reads like {skeleton} but is written with other letters",
    "punycode": "An international name, written {ascii} on the wire",
    "public_suffix": "{domain} belongs to no one: anyone may register under it",
    "person_left": "Has left",
    "person_external": "Is not of your organisation",
    "is_requester": "Is who the call is made for",
    # Links
    "not_https": "Not HTTPS",
    "ip_host": "The host is an IP address",
    "odd_ip": "An IP address in an unusual spelling: {address}",
    "private_host": "A private or local address",
    "userinfo": "A name or password stands before the host",
    "port": "Unusual port {port}",
    "ambiguous_address": "Ambiguous address: programs read it differently",
    "runs_in_page": "The address is a program or holds its own content, it leads nowhere",
    # Lists
    "duplicates": "{count} repeated",
    "long_list": "{count} entries",
    "means_all": "A selector that means all",
    "list_added": "{count} more than last time: {items}",
    "list_removed": "{count} of last time are missing: {items}",
    # Dates
    "past": "In the past",
    "no_offset": "No time zone given",
    "dst_gap": "This time of day does not exist on that day in {zone}",
    "dst_overlap": "This time of day comes twice on that day in {zone}",
    # Ids
    "unknown_prefix": "Begins with none of the known prefixes ({prefixes})",
    "first_seen": "First seen here",
    # Secrets
    "unexpected_secret": "Looks like a secret where none is expected",
    # SQL
    "sql_no_where": "{verb} without WHERE: every row of {table}",
    "sql_always_true": "{verb} with a WHERE that is always true: every row of {table}",
    "sql_no_dialect": "No SQL dialect is declared for this action, and dialects read this text differently",
    "sql_several": "{count} statements in one text",
    "sql_structure": "Changes structure",
    "sql_permissions": "Changes permissions",
    "sql_program": "Runs a program or reads files on the server",
    "sql_unknown_function": "Calls {names}, which guardsite does not know",
    "sql_into": "Writes its result to {table}",
    "sql_locks": "Locks the rows it reads",
    # Shell and code
    "pipe_to_shell": "Pipes into a shell",
    "sudo": "Runs as another user",
    "deletes": "Deletes",
    "network": "Uses the network",
    "runs_other_code": "Runs other code",
    "writes_file": "Writes to a file",
    "background": "Leaves something running",
    # Files
    "outside_workspace": "Outside the workspace",
    "ci_file": "Runs in continuous integration",
    "dotfile": "A hidden file",
    "symlink": "A symbolic link: writes land elsewhere",
    "lockfile": "Pins what others will install",
    "executable": "Makes the file executable",
    "deletes_file": "Deletes the file",
    "no_base": "Nothing to compare with: the application gave no earlier text",
    # Binary
    "type_mismatch": "Declared as {declared}, but begins like {sniffed}",
    "svg": "SVG is a program that draws: it can hold scripts and links",
    "pdf": "PDF can hold scripts, forms and links",
    "executable_data": "Begins like a program",
    "archive": "An archive: what is in it is not shown",
    "bad_base64": "Not valid base64",
}
