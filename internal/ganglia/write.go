package ganglia

import "strconv"

// Most bytes of a text as it is written. With them every line stays below 1000 bytes: gmond and gmetad cut lines at
// 1023 in the middle of whatever is there.
const (
	maxNameText  = 253
	maxValueText = 440
	maxUnitsText = 100
	maxWordText  = 16 // TYPE, SLOPE
	maxIPText    = 64
	maxHostText  = 150 // TAGS, LOCATION, OWNER, LATLONG
	maxURLText   = 300
	maxExtraName = 100
	maxExtraText = 700

	// gmetad keeps 1572 bytes of text and 32 extras of one metric and replaces what is more.
	maxMetricText   = 1500
	maxMetricExtras = 32
)

// form is one of the two ways of writing.
type form struct {
	text   spelling
	gmetad bool // TAGS stand at the end, SOURCE is told
}

var (
	gmondForm  = form{text: twice}
	gmetadForm = form{text: once, gmetad: true}
)

// twiceMark follows the first element where texts are escaped twice, so that ReadDocument resolves both.
const twiceMark = "<!-- texts are escaped twice, for gmetad -->"

// AppendHead appends the beginning of a document as gmond (source "gmond") or gmetad (source "gmetad") of a version
// writes it: XML declaration, DTD and GANGLIA_XML.
func AppendHead(dst []byte, version, source string) []byte {
	dst = append(dst, preamble...)
	dst = appendAttr(dst, `<GANGLIA_XML VERSION="`, version, inName, maxWordText)
	dst = append(appendAttr(dst, ` SOURCE="`, source, inName, maxWordText), ">\n"...)
	if source != "gmetad" {
		dst = append(dst, twiceMark+"\n"...)
	}
	return dst
}

// AppendTail appends the end of a document.
func AppendTail(dst []byte) []byte { return append(dst, "</GANGLIA_XML>\n"...) }

// AppendCluster appends the beginning of a cluster; hosts and AppendClusterEnd follow.
func AppendCluster(dst []byte, c *Cluster) []byte { return gmondForm.cluster(dst, c) }

// AppendClusterEnd appends the end of a cluster.
func AppendClusterEnd(dst []byte) []byte { return append(dst, "</CLUSTER>\n"...) }

// AppendHost appends a host with its metrics in gmond's form. Every text may hold anything: it comes out as
// well-formed XML of ASCII, in lines of less than 1000 bytes, and gmetad makes well-formed XML of it in turn.
func AppendHost(dst []byte, h *Host) []byte {
	dst = gmondForm.host(dst, h, 0)
	for i := range h.Metrics {
		dst = gmondForm.metric(dst, &h.Metrics[i], 0)
	}
	return append(dst, "</HOST>\n"...)
}

func (f form) cluster(dst []byte, c *Cluster) []byte {
	dst = appendAttr(dst, `<CLUSTER NAME="`, c.Name, inName, maxNameText)
	dst = appendInt(dst, ` LOCALTIME="`, c.LocalTime)
	dst = appendAttr(dst, ` OWNER="`, c.Owner, f.text, maxHostText)
	dst = appendAttr(dst, ` LATLONG="`, c.LatLong, f.text, maxHostText)
	return append(appendAttr(dst, ` URL="`, c.URL, f.text, maxURLText), ">\n"...)
}

// host appends the beginning of a host, age seconds after its times were told.
func (f form) host(dst []byte, h *Host, age uint32) []byte {
	dst = appendAttr(dst, `<HOST NAME="`, h.Name, inName, maxNameText)
	dst = appendAttr(dst, ` IP="`, h.IP, inName, maxIPText)
	if !f.gmetad {
		dst = appendAttr(dst, ` TAGS="`, h.Tags, f.text, maxHostText)
	}
	dst = appendInt(dst, ` REPORTED="`, h.Reported)
	dst = appendTimes(dst, grown(h.TN, age), h.TMax, h.DMax)
	dst = appendAttr(dst, ` LOCATION="`, h.Location, f.text, maxHostText)
	dst = appendInt(dst, ` GMOND_STARTED="`, h.Started)
	if f.gmetad {
		dst = appendAttr(dst, ` TAGS="`, h.Tags, f.text, maxHostText)
	}
	return append(dst, ">\n"...)
}

func (f form) metric(dst []byte, m *Metric, age uint32) []byte {
	start := len(dst)
	dst = appendAttr(dst, `<METRIC NAME="`, m.Name, inName, maxNameText)
	dst = appendAttr(dst, ` VAL="`, m.Value, f.text, maxValueText)
	dst = appendAttr(dst, ` TYPE="`, m.Type, inName, maxWordText)
	dst = appendAttr(dst, ` UNITS="`, m.Units, f.text, maxUnitsText)
	dst = appendTimes(dst, grown(m.TN, age), m.TMax, m.DMax)
	dst = appendAttr(dst, ` SLOPE="`, m.Slope, inName, maxWordText)
	if f.gmetad {
		source := m.Source
		if source == "" {
			source = "gmond"
		}
		dst = appendAttr(dst, ` SOURCE="`, source, inName, maxWordText)
	}
	dst = append(dst, ">\n"...)
	return append(f.extras(dst, m.Extra, maxMetricText-(len(dst)-start)), "</METRIC>\n"...)
}

// extras appends those elements that fit into budget bytes.
func (f form) extras(dst []byte, extras []Extra, budget int) []byte {
	dst = append(dst, "<EXTRA_DATA>\n"...)
	for i := range extras[:min(len(extras), maxMetricExtras)] {
		before := len(dst)
		dst = appendAttr(dst, `<EXTRA_ELEMENT NAME="`, extras[i].Name, inName, maxExtraName)
		dst = appendAttr(dst, ` VAL="`, extras[i].Value, f.text, maxExtraText)
		dst = append(dst, "/>\n"...)
		if used := len(dst) - before; used > budget {
			dst = dst[:before]
		} else {
			budget -= used
		}
	}
	return append(dst, "</EXTRA_DATA>\n"...)
}

func appendAttr(dst []byte, open, text string, as spelling, limit int) []byte {
	return append(appendText(append(dst, open...), text, as, limit), '"')
}

func appendInt(dst []byte, open string, v int64) []byte {
	return append(strconv.AppendInt(append(dst, open...), v, 10), '"')
}

func appendTimes(dst []byte, tn, tmax, dmax uint32) []byte {
	dst = appendInt(dst, ` TN="`, int64(tn))
	dst = appendInt(dst, ` TMAX="`, int64(tmax))
	return appendInt(dst, ` DMAX="`, int64(dmax))
}

// grown is a TN after age more seconds.
func grown(tn, age uint32) uint32 {
	if sum := tn + age; sum >= tn {
		return sum
	}
	return ^uint32(0)
}
