// Package snmp is the probe of one device that speaks SNMP: the system group of SNMPv2-MIB and the interfaces of
// IF-MIB. It never sets anything on the device, listens for no traps and keeps no secret in a text. The collector
// calls it.
package snmp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"

	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// Bounds of one reading.
const (
	maxInterfaces = 4096
	maxString     = 256  // bytes that are kept of a text
	maxSecret     = 4096 // bytes of a secret's file
)

// Options say what to read and under which name.
type Options struct {
	Cluster string
	Config  conf.SNMPProbe
}

// Probe reads one device.
type Probe struct {
	opt    Options
	host   string
	device address
	auth   credentials
	up     *metric.Series
	cache  series
}

// New reads the secrets and prepares the session; it sends nothing.
func New(opt Options) (*Probe, error) {
	device, err := splitTarget(opt.Config.Target)
	if err != nil {
		return nil, err
	}
	p := &Probe{opt: opt, host: cmp.Or(opt.Config.Host, device.host), device: device}
	if p.up, err = metric.NewSeries(opt.Cluster, p.host, "snmp_up", nil, metric.NoUnit, metric.State); err != nil {
		return nil, err
	}
	p.cache = newSeries(opt.Cluster, p.host)
	if p.auth, err = credentialsOf(opt.Config); err != nil {
		return nil, err
	}
	return p, nil
}

// address is where the device listens.
type address struct {
	host string
	port uint16
}

// credentials are how the device is asked.
type credentials struct {
	version   gosnmp.SnmpVersion
	community string
	flags     gosnmp.SnmpV3MsgFlags
	usm       *gosnmp.UsmSecurityParameters // version 3
}

// session is a new one: what a device of version 3 has told of its engine is asked again, since it may have restarted.
func (p *Probe) session(ctx context.Context) *gosnmp.GoSNMP {
	s := &gosnmp.GoSNMP{
		Context: ctx, Target: p.device.host, Port: p.device.port, Transport: "udp", Timeout: p.opt.Config.Timeout, Retries: p.opt.Config.Retries,
		MaxOids: gosnmp.MaxOids, MaxRepetitions: 25, Version: p.auth.version, Community: p.auth.community,
	}
	if p.auth.usm != nil {
		s.SecurityModel, s.MsgFlags, s.SecurityParameters = gosnmp.UserSecurityModel, p.auth.flags, p.auth.usm.Copy()
	}
	return s
}

func splitTarget(target string) (address, error) {
	host, text, err := net.SplitHostPort(target)
	if err != nil {
		return address{strings.Trim(target, "[]"), 161}, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return address{}, fmt.Errorf("target %.100q: want host or host:port", target)
	}
	return address{host, uint16(n)}, nil
}

// Name implements probes.Probe.
func (p *Probe) Name() string { return "snmp/" + p.host }

// Interval implements probes.Probe.
func (p *Probe) Interval() time.Duration { return p.opt.Config.Interval }

// Collect implements probes.Probe. snmp_up is always there: 0 when the device does not answer at all.
func (p *Probe) Collect(ctx context.Context, now time.Time, out *batch.Batch) error {
	ms := now.UnixMilli()
	r, err := p.read(ctx)
	up := 0.0
	if r != nil {
		up = 1
	}
	out.Samples = append(out.Samples, metric.Sample{Series: p.up, Time: ms, Value: up})
	if r != nil {
		out.Samples = p.cache.append(out.Samples, r, ms)
	}
	return err
}

// read asks the device. When it stops answering in the middle of its interfaces these are left out: half of the
// columns would show counters of 32 bits, and other names, where there are better ones.
func (p *Probe) read(ctx context.Context) (*reading, error) {
	session := p.session(ctx)
	if err := session.Connect(); err != nil {
		return nil, fmt.Errorf("cannot reach %s: %w", p.opt.Config.Target, err)
	}
	defer session.Conn.Close()
	r := newReading()
	// One by one: a device of version 1 refuses a whole request for one name that it does not have.
	for _, oid := range systemOIDs {
		answer, err := session.Get([]string{oid})
		if err != nil {
			return nil, fmt.Errorf("%s does not answer: %w", p.opt.Config.Target, p.explain(err))
		}
		r.system(answer.Variables)
	}
	for _, c := range columns {
		if err := p.walk(session, c, r); err != nil {
			clear(r.interfaces)
			return r, fmt.Errorf("cannot read %s of %s: %w", c.name, p.opt.Config.Target, p.explain(err))
		}
	}
	return r, nil
}

// errEnough ends a walk that returns more rows than an honest device has.
var errEnough = fmt.Errorf("more than %d interfaces", maxInterfaces)

func (p *Probe) walk(session *gosnmp.GoSNMP, c column, r *reading) error {
	rows := 0
	take := func(pdu gosnmp.SnmpPDU) error {
		if rows++; rows > maxInterfaces {
			return errEnough
		}
		r.row(c, pdu)
		return nil
	}
	if p.opt.Config.Version == "1" {
		err := session.Walk(c.oid, take)
		if c.extended {
			return nil // version 1 devices need not have the extended table
		}
		return err
	}
	return session.BulkWalk(c.oid, take)
}

// explain puts the likely reason beside the library's error, which never holds a secret of ours.
func (p *Probe) explain(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "connection refused"):
		return errors.New("nothing listens there: check the address and the port, and that the device's SNMP agent runs")
	case strings.Contains(text, "not authentic"), strings.Contains(text, "unknown user"), strings.Contains(text, "wrong digest"):
		return errors.New("the device refuses the user: check user, auth_protocol, priv_protocol and the pass phrases")
	}
	if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout") {
		if p.opt.Config.Version == "3" {
			return errors.New("no answer in time: check the address, the user and the firewall")
		}
		return errors.New("no answer in time: check the address, the community (a wrong one is not answered) and the firewall")
	}
	return err
}

func credentialsOf(c conf.SNMPProbe) (credentials, error) {
	switch c.Version {
	case "1", "2c":
		auth := credentials{version: gosnmp.Version2c, community: "public"}
		if c.Version == "1" {
			auth.version = gosnmp.Version1
		}
		if c.CommunityFile == "" {
			return auth, nil
		}
		var err error
		auth.community, err = secret(c.CommunityFile)
		return auth, err
	case "3":
		return credentialsV3(c)
	}
	return credentials{}, fmt.Errorf("version %.10q: want 1, 2c or 3", c.Version)
}

var (
	authProtocols = map[string]gosnmp.SnmpV3AuthProtocol{"md5": gosnmp.MD5, "sha": gosnmp.SHA, "sha256": gosnmp.SHA256, "sha512": gosnmp.SHA512}
	privProtocols = map[string]gosnmp.SnmpV3PrivProtocol{"des": gosnmp.DES, "aes": gosnmp.AES, "aes192": gosnmp.AES192, "aes256": gosnmp.AES256}
)

func credentialsV3(c conf.SNMPProbe) (credentials, error) {
	usm := &gosnmp.UsmSecurityParameters{UserName: c.User, AuthenticationProtocol: gosnmp.NoAuth, PrivacyProtocol: gosnmp.NoPriv}
	auth := credentials{version: gosnmp.Version3, flags: gosnmp.NoAuthNoPriv, usm: usm}
	var err error
	if c.AuthFile != "" {
		if usm.AuthenticationProtocol = authProtocols[c.AuthProtocol]; usm.AuthenticationProtocol == 0 {
			return auth, fmt.Errorf("auth_protocol %.20q: want md5, sha, sha256 or sha512", c.AuthProtocol)
		}
		if usm.AuthenticationPassphrase, err = secret(c.AuthFile); err != nil {
			return auth, err
		}
		auth.flags = gosnmp.AuthNoPriv
	}
	if c.PrivFile != "" {
		if usm.PrivacyProtocol = privProtocols[c.PrivProtocol]; usm.PrivacyProtocol == 0 {
			return auth, fmt.Errorf("priv_protocol %.20q: want des, aes, aes192 or aes256", c.PrivProtocol)
		}
		if usm.PrivacyPassphrase, err = secret(c.PrivFile); err != nil {
			return auth, err
		}
		auth.flags = gosnmp.AuthPriv
	}
	return auth, nil
}

// secret reads a file's first line.
func secret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read a secret: %w", err)
	}
	if len(b) > maxSecret {
		return "", fmt.Errorf("the secret in %s is longer than %d bytes", path, maxSecret)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if line = strings.TrimRight(line, "\r"); line == "" {
		return "", fmt.Errorf("the file %s holds no secret in its first line", path)
	}
	return line, nil
}
