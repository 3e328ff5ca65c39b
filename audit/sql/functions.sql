-- What the database itself does: intake, opening a log, sealing, erasing. Functions that act for others are SECURITY
-- DEFINER with a fixed search_path and check their tenant argument. FORCE binds their owner to row-level security too,
-- so each sets the tenant before it reads: with none set it would see nothing and stall in silence.

CREATE FUNCTION audit_bound_tenant(p_tenant uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_tenant IS NULL OR p_tenant IS DISTINCT FROM nullif(current_setting('guardsite.tenant', true), '')::uuid THEN
        RAISE EXCEPTION 'audit: the tenant is not that of this transaction' USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;

-- The envelope of audit.md section 2; the same bytes as audit/envelope.py.
CREATE FUNCTION audit_envelope(p_origin text, p_seq bigint, p_previous bytea, p_body_hash bytea, p_recorded_us bigint)
RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT convert_to(concat(
        'guardsite.audit.v1', chr(10), p_origin, chr(10), p_seq, chr(10), encode(p_previous, 'hex'), chr(10),
        encode(p_body_hash, 'hex'), chr(10), p_recorded_us, chr(10)), 'UTF8')
$$;

CREATE FUNCTION audit_row_hash(p_origin text, p_seq bigint, p_previous bytea, p_body_hash bytea, p_recorded_us bigint)
RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT sha256('\x00'::bytea || convert_to(concat(
        'guardsite.audit.v1', chr(10), p_origin, chr(10), p_seq, chr(10), encode(p_previous, 'hex'), chr(10),
        encode(p_body_hash, 'hex'), chr(10), p_recorded_us, chr(10)), 'UTF8'))
$$;

CREATE FUNCTION audit_body_hash(p_body text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT sha256(convert_to('guardsite.body.v1' || chr(10) || p_body, 'UTF8')) $$;

CREATE FUNCTION audit_genesis_hash(p_origin text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT sha256(convert_to('guardsite.genesis.v1' || chr(10) || p_origin || chr(10), 'UTF8')) $$;

-- BEFORE INSERT on entries: of the session's tenant, hashed and timed here, queued for the sealer.
CREATE FUNCTION audit_intake() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.tenant_id IS DISTINCT FROM nullif(current_setting('guardsite.tenant', true), '')::uuid THEN
        RAISE EXCEPTION 'audit: the entry is not of the tenant of this transaction'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NOT EXISTS (SELECT FROM public.audit_head WHERE tenant_id = NEW.tenant_id) THEN
        RAISE EXCEPTION 'audit: this tenant has no open log' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    NEW.body_hash := sha256(convert_to('guardsite.body.v1' || chr(10) || NEW.body, 'UTF8'));
    NEW.received_us := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    INSERT INTO public.audit_pending (tenant_id, entry_id) VALUES (NEW.tenant_id, NEW.id);
    RETURN NEW;
END $$;

-- Append only. The owner can disable this, and is then detected by hashes and signed checkpoints.
CREATE FUNCTION audit_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'audit: % on % is refused, the log only grows', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

-- Opens epoch 1 with its head and its first entry, `log.opened`. Returns the entry's id.
CREATE FUNCTION audit_open_log(p_tenant uuid, p_origin text, p_body text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_log   bigint;
    v_entry bigint;
BEGIN
    PERFORM public.audit_bound_tenant(p_tenant);
    IF p_body::jsonb ->> 'kind' IS DISTINCT FROM 'log.opened' THEN
        RAISE EXCEPTION 'audit: a log opens with log.opened' USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO public.audit_log (tenant_id, epoch, origin) VALUES (p_tenant, 1, p_origin) RETURNING id INTO v_log;
    INSERT INTO public.audit_head (log_id, tenant_id, size, row_hash, recorded_us)
        VALUES (v_log, p_tenant, 0, public.audit_genesis_hash(p_origin), 0);
    INSERT INTO public.audit_entry (tenant_id, body) VALUES (p_tenant, p_body) RETURNING id INTO v_entry;
    RETURN v_entry;
END $$;

-- Gives the next positions to a tenant's pending entries, by entry id. Returns how many were sealed.
-- Any number of callers: one at a time per tenant wins the advisory lock, the head row orders the rest.
CREATE FUNCTION audit_seal_batch(p_tenant uuid, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_log      bigint;
    v_seq      bigint;
    v_previous bytea;
    v_time     bigint;
    v_origin   text;
    v_row      record;
    v_entries  bigint[] := '{}';
    v_bodies   bytea[] := '{}';
    v_hashes   bytea[] := '{}';
BEGIN
    -- Under a snapshot of the whole transaction, the head could be newer than the pending rows that we see.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'audit: sealing needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('guardsite.audit.seal ' || p_tenant::text, 0)) THEN
        RETURN 0;
    END IF;
    PERFORM set_config('guardsite.tenant', p_tenant::text, true);
    SELECT log_id, size, row_hash, recorded_us INTO v_log, v_seq, v_previous, v_time
        FROM public.audit_head WHERE tenant_id = p_tenant FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    SELECT origin INTO STRICT v_origin FROM public.audit_log WHERE id = v_log;
    v_time := greatest(v_time, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    FOR v_row IN
        SELECT p.entry_id, e.body_hash
        FROM public.audit_pending p JOIN public.audit_entry e ON e.id = p.entry_id
        WHERE p.tenant_id = p_tenant
        ORDER BY p.entry_id LIMIT p_limit
    LOOP
        v_previous := sha256('\x00'::bytea || convert_to(concat(
            'guardsite.audit.v1', chr(10), v_origin, chr(10), v_seq + cardinality(v_hashes), chr(10),
            encode(v_previous, 'hex'), chr(10), encode(v_row.body_hash, 'hex'), chr(10), v_time, chr(10)), 'UTF8'));
        v_entries := array_append(v_entries, v_row.entry_id);
        v_bodies := array_append(v_bodies, v_row.body_hash);
        v_hashes := array_append(v_hashes, v_previous);
    END LOOP;
    IF cardinality(v_entries) = 0 THEN
        RETURN 0;
    END IF;
    INSERT INTO public.audit_seal (log_id, seq, tenant_id, entry_id, body_hash, recorded_us, row_hash)
        SELECT v_log, v_seq + t.n - 1, p_tenant, t.entry_id, t.body_hash, v_time, t.row_hash
        FROM unnest(v_entries, v_bodies, v_hashes) WITH ORDINALITY AS t (entry_id, body_hash, row_hash, n);
    DELETE FROM public.audit_pending WHERE tenant_id = p_tenant AND entry_id = ANY (v_entries);
    UPDATE public.audit_head
        SET size = v_seq + cardinality(v_entries), row_hash = v_previous, recorded_us = v_time
        WHERE log_id = v_log;
    RETURN cardinality(v_entries);
END $$;

-- Queues again what has neither seal nor pending row, among a tenant's newest `p_look` entries. Returns how many.
-- An entry that was committed a moment ago has a pending row, so anything found here lost it.
CREATE FUNCTION audit_requeue_stranded(p_tenant uuid, p_look integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_count integer;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('guardsite.audit.seal ' || p_tenant::text, 0));
    PERFORM set_config('guardsite.tenant', p_tenant::text, true);
    INSERT INTO public.audit_pending (tenant_id, entry_id)
        SELECT p_tenant, e.id
        FROM (SELECT id FROM public.audit_entry WHERE tenant_id = p_tenant ORDER BY id DESC LIMIT p_look) e
        WHERE NOT EXISTS (SELECT FROM public.audit_seal s WHERE s.entry_id = e.id)
          AND NOT EXISTS (SELECT FROM public.audit_pending p WHERE p.tenant_id = p_tenant AND p.entry_id = e.id);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;

-- How many of the tenant's entries wait for a position, counted no further than `p_cap`.
CREATE FUNCTION audit_backlog(p_tenant uuid, p_cap integer) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM public.audit_bound_tenant(p_tenant);
    RETURN (SELECT count(*) FROM (SELECT FROM public.audit_pending WHERE tenant_id = p_tenant LIMIT p_cap) waiting);
END $$;

-- Deletes salts and values together, and records that in the same transaction. Returns the id of the entry.
CREATE FUNCTION audit_erase(p_tenant uuid, p_digests text[], p_body text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_entry bigint;
BEGIN
    PERFORM public.audit_bound_tenant(p_tenant);
    IF p_body::jsonb ->> 'kind' IS DISTINCT FROM 'erasure.executed'
       OR p_body::jsonb -> 'digests' IS DISTINCT FROM to_jsonb(p_digests) THEN
        RAISE EXCEPTION 'audit: an erasure is recorded with the digests that it erases' USING ERRCODE = 'check_violation';
    END IF;
    DELETE FROM public.audit_disclosure WHERE tenant_id = p_tenant AND digest = ANY (p_digests);
    INSERT INTO public.audit_entry (tenant_id, body) VALUES (p_tenant, p_body) RETURNING id INTO v_entry;
    RETURN v_entry;
END $$;
