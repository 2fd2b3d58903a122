-- What is known of rebuilds: the row with the highest number is the present state, the others are history.
-- `hollow`: days of which the traffic was found to hold less than the ledger when the row was written.
CREATE TABLE rebuilds (
  number UInt32, epoch UInt32, state LowCardinality(String), first_day Date, last_day Date, hollow Array(Date),
  noted DateTime('UTC') DEFAULT now()
) ENGINE = MergeTree ORDER BY number SETTINGS non_replicated_deduplication_window = 10000;
