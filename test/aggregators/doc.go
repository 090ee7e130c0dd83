// Package aggregators runs three real collectors as aggregators of one cluster, and the rest of Keepwatch behind them,
// each host a network namespace. It kills them one after the other with nobody's leave while hosts send, and counts
// what Postgres holds: every sample once. The programs under test are those of bin, as make build leaves them.
package aggregators
