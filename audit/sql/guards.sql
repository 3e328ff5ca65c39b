-- Who may do what: triggers that refuse change, row-level security, privileges.
-- ENABLE ALWAYS: a session in replica mode does not slip past. FORCE: the owner is bound too.

CREATE TRIGGER audit_entry_intake BEFORE INSERT ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_intake();
CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_seal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_checkpoint_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_disclosure_no_rewrite BEFORE UPDATE OR TRUNCATE ON audit_disclosure
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_intake;
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_append_only;
ALTER TABLE audit_seal ENABLE ALWAYS TRIGGER audit_seal_append_only;
ALTER TABLE audit_checkpoint ENABLE ALWAYS TRIGGER audit_checkpoint_append_only;
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_append_only;
ALTER TABLE audit_disclosure ENABLE ALWAYS TRIGGER audit_disclosure_no_rewrite;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['audit_entry', 'audit_pending', 'audit_log', 'audit_head', 'audit_seal', 'audit_checkpoint',
                             'audit_disclosure'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_rows ON %I USING (tenant_id = nullif(current_setting(''guardsite.tenant'','
                       ' true), '''')::uuid)', t);
        -- Default privileges give the web role everything on new tables; here it gets what is granted below.
        EXECUTE format('REVOKE ALL ON TABLE %I FROM PUBLIC, gs_app', t);
    END LOOP;
    -- The notary checks every tenant's chain; the sealer finds whose entries wait.
    FOREACH t IN ARRAY ARRAY['audit_entry', 'audit_log', 'audit_head', 'audit_seal', 'audit_checkpoint', 'audit_pending'] LOOP
        EXECUTE format('CREATE POLICY notary_reads_all ON %I FOR SELECT TO gs_notary USING (true)', t);
    END LOOP;
END $$;
CREATE POLICY sealer_reads_all ON audit_pending FOR SELECT TO gs_sealer USING (true);
CREATE POLICY sealer_reads_all ON audit_log FOR SELECT TO gs_sealer USING (true);

REVOKE ALL ON SEQUENCE audit_entry_id_seq, audit_log_id_seq FROM PUBLIC, gs_app;

GRANT INSERT (tenant_id, body), SELECT (id, body_hash, received_us) ON audit_entry TO gs_app;
GRANT INSERT (entry_id, digest, tenant_id, key_id, ciphertext) ON audit_disclosure TO gs_app;
GRANT SELECT ON audit_log TO gs_app;
GRANT SELECT (log_id, size, tenant_id, root, signed_at) ON audit_checkpoint TO gs_app;

GRANT SELECT ON audit_pending TO gs_sealer;
GRANT SELECT (tenant_id) ON audit_log TO gs_sealer;

GRANT SELECT ON audit_entry, audit_log, audit_head, audit_seal, audit_checkpoint, audit_pending TO gs_notary;
GRANT INSERT (tenant_id, body) ON audit_entry TO gs_notary;
GRANT INSERT (log_id, size, tenant_id, root, note) ON audit_checkpoint TO gs_notary;

GRANT SELECT ON audit_entry, audit_log, audit_head, audit_seal, audit_checkpoint, audit_pending, audit_disclosure
    TO gs_auditor;

REVOKE ALL ON FUNCTION
    audit_bound_tenant(uuid), audit_envelope(text, bigint, bytea, bytea, bigint),
    audit_row_hash(text, bigint, bytea, bytea, bigint), audit_body_hash(text), audit_genesis_hash(text), audit_intake(),
    audit_refuse_change(), audit_open_log(uuid, text, text), audit_seal_batch(uuid, integer),
    audit_requeue_stranded(uuid, integer), audit_backlog(uuid, integer), audit_erase(uuid, text[], text)
    FROM PUBLIC, gs_app;
GRANT EXECUTE ON FUNCTION audit_open_log(uuid, text, text), audit_backlog(uuid, integer) TO gs_app;
GRANT EXECUTE ON FUNCTION audit_seal_batch(uuid, integer), audit_requeue_stranded(uuid, integer) TO gs_sealer;
GRANT EXECUTE ON FUNCTION audit_erase(uuid, text[], text) TO gs_eraser;
GRANT EXECUTE ON FUNCTION
    audit_envelope(text, bigint, bytea, bytea, bigint), audit_row_hash(text, bigint, bytea, bytea, bigint),
    audit_body_hash(text), audit_genesis_hash(text)
    TO gs_auditor, gs_notary;
