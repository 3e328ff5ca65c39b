"""SQL functions by what calling them means, in lower case; whatever stands in neither list is unknown."""

from __future__ import annotations

from typing import Final

# fmt: off
# Functions that run programs, read or write files of the server, open connections, or run SQL that they are given.
PROGRAM_FUNCTIONS: Final = frozenset(
    [
        "pg_read_file", "pg_read_binary_file", "pg_ls_dir", "pg_stat_file", "pg_write_file", "lo_import", "lo_export",
        "dblink", "dblink_exec", "dblink_connect", "dblink_send_query", "query_to_xml", "database_to_xml",
        "table_to_xml", "cursor_to_xml", "xp_cmdshell", "xp_regwrite", "sp_oacreate", "sp_executesql", "openrowset",
        "opendatasource", "openquery", "load_file", "sys_exec", "sys_eval", "load_extension", "readfile", "writefile",
        "edit", "fts3_tokenizer", "utl_http.request", "read_csv", "read_csv_auto", "read_parquet", "read_json",
        "read_text", "read_blob", "glob", "shell", "system", "url", "file", "s3", "remote", "executable",
    ]
)
# Built-in functions that only read, which the parser knows no class for.
PLAIN_FUNCTIONS: Final = frozenset(
    [
        "age", "array_to_json", "array_to_string", "bool_and", "bool_or", "btrim", "cardinality", "clock_timestamp",
        "current_schema", "date_trunc", "isfinite", "json_build_object", "jsonb_build_object", "json_agg", "jsonb_agg",
        "jsonb_array_elements", "jsonb_each", "justify_days", "justify_hours", "localtime", "make_date", "mode", "now",
        "num_nonnulls", "pg_size_pretty", "quote_ident", "quote_literal", "regexp_matches", "row_to_json", "strpos",
        "substr", "to_json", "to_jsonb", "to_tsquery", "to_tsvector", "width_bucket", "ifnull", "format", "version",
        "json_array_length", "jsonb_array_length", "string_agg", "unnest", "date_part", "to_timestamp", "trunc",
        "random", "hex", "unhex", "instr", "printf", "julianday", "strftime", "total", "changes", "typeof",
    ]
)
# fmt: on
