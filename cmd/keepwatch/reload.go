package main

import (
	"slices"
	"strings"

	"keepwatch/collector"
	"keepwatch/internal/conf"
	"keepwatch/internal/logs"
)

// reload puts in force what can be without a start. What may be refused is asked first, so that all of it is or
// nothing.
func (a *app) reload() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	next, err := a.global.load()
	if err != nil {
		return err
	}
	use, err := a.prepareExtractor(next)
	if err != nil {
		return err
	}
	// The collector takes all or nothing. It goes first: a new key of its own that the extractor had alone for a moment
	// would be refused, and frames that the extractor cannot open yet it reads again.
	if a.collector != nil {
		if err := a.collector.Reload(next.Collector); err != nil {
			return err
		}
	}
	use()
	if a.haagent != nil {
		a.haagent.reload()
	}
	logs.SetLevel(next.Log, &a.level)
	a.inForce.Collector, a.inForce.Extractor.Hosts, a.inForce.Extractor.Ganglia.AcceptFrom = next.Collector, next.Extractor.Hosts, next.Extractor.Ganglia.AcceptFrom
	a.log.Info("reloaded; the HA agent, if any, was told to and says itself what comes of it")
	if wait := a.waiting(next); len(wait) > 0 {
		a.log.Warn("keys have changed that some or all roles read at start only; start this process again to put them in force there", "keys", strings.Join(wait, ", "))
	}
	return nil
}

// prepareExtractor checks what a configuration changes in the extractor; use puts it in force.
func (a *app) prepareExtractor(next conf.Config) (use func(), err error) {
	e := a.extractor.Load()
	if e == nil {
		return func() {}, nil // one that comes up later begins with what is in force then
	}
	keys, err := collector.LoadKeys(next.Collector.Keys, a.data.Path)
	if err != nil {
		return nil, err
	}
	return e.Prepare(next.Extractor, keys)
}

// reloaded are the keys below others that a reload puts in force all the same.
var reloaded = []string{"extractor.hosts", "extractor.ganglia.accept_from"}

// readAtStart says which roles read a key, or all below it, only when they start; conf.AtStart is what all do. What else
// the collector and the HA agent read they say themselves.
var readAtStart = []struct {
	key   string
	roles []string
}{
	{"database", []string{roleExtractor, roleAlerter, roleUI}}, {"bus", []string{roleExtractor, roleAlerter}},
	{"collector.interval", []string{roleExtractor, roleUI}}, {"collector.host_dmax", []string{roleExtractor}}, {"collector.serve", []string{roleExtractor}},
	{"extractor.query", []string{roleExtractor, roleAlerter, roleUI}}, {"extractor", []string{roleExtractor}},
	{"alerter", []string{roleAlerter, roleUI}}, {"ui", []string{roleExtractor, roleAlerter, roleUI}},
}

// waiting are the keys that a configuration changes and that wait for a start of this process.
func (a *app) waiting(next conf.Config) (keys []string) {
	for _, key := range conf.Changed(a.conf, next) {
		if slices.ContainsFunc(reloaded, func(above string) bool { return conf.Within(key, above) }) {
			continue
		}
		if slices.Contains(conf.AtStart, key) {
			keys = append(keys, key)
			continue
		}
		for _, r := range readAtStart {
			if conf.Within(key, r.key) && slices.ContainsFunc(r.roles, a.has) {
				keys = append(keys, key)
				break
			}
		}
	}
	if a.has(roleHAAgent) && a.haagent == nil && next.HAAgent.Configured() {
		keys = append(keys, "haagent")
	}
	return keys
}
