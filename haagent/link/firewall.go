package link

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// firewallTable is the one nftables table of the agent; every start replaces it.
const firewallTable = "keepwatch_ha"

// Firewall drops packets that virtual routers must not take or send. It has one nftables table of its own, inet
// keepwatch_ha, and never touches another. Nothing but the membership of four sets changes after the start, so what
// the failover needs is one message to the kernel and its answer. Calls wait for each other.
type Firewall struct {
	mu       sync.Mutex
	conn     *nftables.Conn
	noAccept [2]*nftables.Set // IPv4, IPv6
	handover [2]*nftables.Set
	closed   map[netip.Addr]bool      // in noAccept
	silent   map[netip.Addr]time.Time // in handover until then
}

// OpenFirewall makes the table, in the place of one that a predecessor left.
func OpenFirewall() (*Firewall, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, privilege(fmt.Errorf("cannot open nftables: %w", err))
	}
	f := &Firewall{conn: conn, closed: make(map[netip.Addr]bool), silent: make(map[netip.Addr]time.Time)}
	if err := f.build(); err != nil {
		return nil, privilege(fmt.Errorf("cannot make nftables table inet %s: %w", firewallTable, errors.Join(err, conn.CloseLasting())))
	}
	return f, nil
}

// Close removes the table.
func (f *Firewall) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conn.DelTable(f.noAccept[0].Table)
	err := f.conn.Flush()
	if errors.Is(err, unix.ENOENT) { // somebody flushed the whole ruleset
		err = nil
	}
	if err = errors.Join(err, f.conn.CloseLasting()); err != nil {
		return fmt.Errorf("cannot remove nftables table inet %s: %w", firewallTable, err)
	}
	return nil
}

// SetNoAccept makes the host drop what comes for addresses, or take it again. Neighbours are still answered: ARP is
// no IP, and IPv6 neighbour discovery passes (RFC 9568 section 6.4.3).
func (f *Firewall) SetNoAccept(addrs []netip.Addr, on bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var change []netip.Addr
	for _, a := range addrs {
		if a = a.Unmap(); f.closed[a] != on {
			change = append(change, a)
		}
	}
	queue := f.conn.SetAddElements
	if !on {
		queue = f.conn.SetDeleteElements
	}
	for _, a := range change {
		f.closed[a] = on
	}
	err := f.do(func() error { return inFamilies(f.noAccept, change, 0, queue) })
	if err != nil {
		for _, a := range change {
			f.closed[a] = !on
		}
		return fmt.Errorf("cannot set which packets are taken: %w", err)
	}
	return nil
}

// Handover keeps TCP resets that addresses would send from leaving, for a time of milliseconds: a new master does not
// know the connections that the old one still serves. The kernel ends it by itself, also when this process is killed.
func (f *Firewall) Handover(addrs []netip.Addr, window time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	var again []netip.Addr
	for _, a := range addrs {
		if a = a.Unmap(); f.silent[a].After(now) {
			again = append(again, a)
		}
	}
	err := f.do(func() error {
		// A member's time cannot be changed before Linux 6.12, so it leaves and comes back within the same
		// transaction. It is added first, because it may have run out in this very moment.
		return errors.Join(
			inFamilies(f.handover, again, window, f.conn.SetAddElements),
			inFamilies(f.handover, again, 0, f.conn.SetDeleteElements),
			inFamilies(f.handover, addrs, window, f.conn.SetAddElements),
		)
	})
	if err != nil {
		return fmt.Errorf("cannot hold TCP resets back: %w", err)
	}
	for a, until := range f.silent {
		if until.Before(now) {
			delete(f.silent, a)
		}
	}
	for _, a := range addrs {
		f.silent[a.Unmap()] = now.Add(window + time.Second) // the kernel's clock may be late, never early
	}
	return nil
}

// do sends what queue has queued. Where the table is gone, as after the flush of a whole ruleset, it is made anew.
func (f *Firewall) do(queue func() error) error {
	if err := queue(); err != nil {
		return err
	}
	err := f.conn.Flush()
	if !errors.Is(err, unix.ENOENT) {
		return err
	}
	if err := f.build(); err != nil {
		return err
	}
	if err := queue(); err != nil {
		return err
	}
	if err := f.conn.Flush(); !errors.Is(err, unix.ENOENT) { // to be deleted, and gone with the old table
		return err
	}
	return nil
}

// inFamilies hands the addresses to queue by family.
func inFamilies(sets [2]*nftables.Set, addrs []netip.Addr, timeout time.Duration, queue func(*nftables.Set, []nftables.SetElement) error) error {
	var elements [2][]nftables.SetElement
	for _, a := range addrs {
		a = a.Unmap()
		family := 0
		if a.Is6() {
			family = 1
		}
		elements[family] = append(elements[family], nftables.SetElement{Key: a.AsSlice(), Timeout: timeout})
	}
	for family, all := range elements {
		if len(all) == 0 {
			continue
		}
		if err := queue(sets[family], all); err != nil {
			return err
		}
	}
	return nil
}

// build makes the table in one transaction, without a moment in which there is half of it.
func (f *Firewall) build() error {
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: firewallTable}
	f.conn.AddTable(table)
	f.conn.DelTable(table)
	f.conn.AddTable(table)
	chain := func(name string, hook *nftables.ChainHook) *nftables.Chain {
		return f.conn.AddChain(&nftables.Chain{Table: table, Name: name, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityFilter})
	}
	input, output := chain("input", nftables.ChainHookInput), chain("output", nftables.ChainHookOutput)
	for i, family := range []addressFamily{
		{"4", unix.NFPROTO_IPV4, nftables.TypeIPAddr, 12, 16, 4}, {"6", unix.NFPROTO_IPV6, nftables.TypeIP6Addr, 8, 24, 16},
	} {
		f.noAccept[i] = &nftables.Set{Table: table, Name: "no_accept" + family.name, KeyType: family.key}
		f.handover[i] = &nftables.Set{Table: table, Name: "handover" + family.name, KeyType: family.key, HasTimeout: true}
		if err := f.addSets(f.noAccept[i], f.handover[i]); err != nil {
			return err
		}
		if family.protocol == unix.NFPROTO_IPV6 {
			f.conn.AddRule(&nftables.Rule{Table: table, Chain: input, Exprs: neighbourDiscovery()})
		}
		f.conn.AddRule(&nftables.Rule{Table: table, Chain: input, Exprs: family.drop(family.destination, f.noAccept[i])})
		f.conn.AddRule(&nftables.Rule{Table: table, Chain: output, Exprs: append(tcpReset(), family.drop(family.source, f.handover[i])...)})
	}
	var closed []netip.Addr
	for a, on := range f.closed {
		if on {
			closed = append(closed, a)
		}
	}
	if err := inFamilies(f.noAccept, closed, 0, f.conn.SetAddElements); err != nil {
		return err
	}
	return f.conn.Flush()
}

// numbering guards the number of the next set, which package nftables has one of for all connections.
var numbering sync.Mutex

func (f *Firewall) addSets(sets ...*nftables.Set) error {
	numbering.Lock()
	defer numbering.Unlock()
	for _, s := range sets {
		if err := f.conn.AddSet(s, nil); err != nil {
			return err
		}
	}
	return nil
}

// addressFamily is where the addresses are in the header of a family.
type addressFamily struct {
	name                        string
	protocol                    byte
	key                         nftables.SetDatatype
	source, destination, length uint32
}

// drop drops packets whose address at an offset of the network header is in a set.
func (a addressFamily) drop(offset uint32, in *nftables.Set) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{a.protocol}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: a.length},
		&expr.Lookup{SourceRegister: 1, SetName: in.Name, SetID: in.ID},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}

// tcpReset matches a segment with the RST flag, at offset 13 of the TCP header.
func tcpReset() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{4}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{0}},
	}
}

// neighbourDiscovery lets ICMPv6 types 133 to 137 pass, the first byte of its header (RFC 4861 section 4).
func neighbourDiscovery() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_ICMPV6}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: []byte{133}},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: []byte{137}},
		&expr.Verdict{Kind: expr.VerdictAccept},
	}
}
