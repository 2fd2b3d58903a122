-- What stands in the braces of each `schema { … }`; empty where there is none, which is mostly found without a regular
-- expression.  A check asks which types were roots in any version: of 3,000 versions that is not to be read from texts.
ALTER TABLE schemas ADD COLUMN IF NOT EXISTS roots String MATERIALIZED
  if(position(sdl, 'schema') > 0, arrayStringConcat(extractAll(sdl, '\\bschema\\b[^{}]*[{]([^{}]*)[}]'), ' '), '');

ALTER TABLE schemas MATERIALIZE COLUMN roots SETTINGS mutations_sync = 0;
