package api

import (
	"cmp"
	"slices"
	"time"
)

// VIP is a virtual address with who holds it.
type VIP struct {
	Cluster   string   `json:"cluster"`
	VIP       string   `json:"vip"`
	Instance  string   `json:"instance"`
	VRID      int      `json:"vrid"`
	Interface string   `json:"interface"`
	Holders   []Holder `json:"holders"`
	SeenBy    []string `json:"seen_by" doc:"hosts whose HA agent sees that another host has the address too"`
	State     string   `json:"state" enum:"held,nobody,conflict"`
}

// Holder is a host that has an address.
type Holder struct {
	Host  string `json:"host"`
	Since *Time  `json:"since" nullable:"true" doc:"null: longer than events are kept, or the event is not here yet"`
}

// vips joins what the hosts say of each address.
func (s *haRows) vips() []VIP {
	type key struct{ cluster, vip string }
	all := []VIP{}
	at := map[key]int{}
	holding := map[key][]haSeries{}
	for _, r := range s.series[metricVIPHeld] {
		k := key{r.Cluster, r.labels["vip"]}
		if _, ok := at[k]; !ok {
			at[k] = len(all)
			router := s.routers[instanceKey{r.host(), r.labels["instance"]}]
			all = append(all, VIP{
				Cluster: r.Cluster, VIP: k.vip, Instance: r.labels["instance"], VRID: numberOf(router.labels["vrid"]),
				Interface: router.labels["interface"], Holders: []Holder{}, SeenBy: []string{}, State: "nobody",
			})
		}
		if r.Value == 1 && s.fresh(&r) {
			holding[k] = append(holding[k], r)
		}
	}
	for k, rows := range holding {
		v := &all[at[k]]
		v.Holders = s.holders(rows)
		v.State = "held"
		if len(v.Holders) > 1 {
			v.State = "conflict"
		}
	}
	for _, r := range s.series[metricForeign] {
		i, ok := at[key{r.Cluster, r.labels["vip"]}]
		if ok && r.Value == 1 && s.fresh(&r) {
			all[i].SeenBy, all[i].State = append(all[i].SeenBy, r.Host), "conflict"
		}
	}
	slices.SortFunc(all, func(x, y VIP) int { return cmp.Or(cmp.Compare(x.Cluster, y.Cluster), cmp.Compare(x.VIP, y.VIP)) })
	return all
}

// holders are those whose word counts. When a host dies, its last word, that it holds the address, stays young for a
// while; it was said before the successor took the address, and so it does not make a conflict.
func (s *haRows) holders(rows []haSeries) []Holder {
	since := func(r haSeries) time.Time { return s.taken[vipOnHost{r.host(), r.labels["vip"]}] }
	var newest time.Time
	for _, r := range rows {
		if t := since(r); t.After(newest) {
			newest = t
		}
	}
	out := []Holder{}
	for _, r := range rows {
		t := since(r)
		if r.Time.Before(newest) && !t.Equal(newest) {
			continue
		}
		h := Holder{Host: r.Host}
		if !t.IsZero() {
			h.Since = &Time{t}
		}
		out = append(out, h)
	}
	return out
}
