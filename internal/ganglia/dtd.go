package ganglia

import "strings"

// element is one element of the document type: what may stand in it, and its attributes. In both fields the words
// are those of a DTD. An attribute is required unless its entry says otherwise.
type element struct {
	name, content string
	attributes    []string // NAME, or NAME and type and default
}

const (
	implied  = " CDATA #IMPLIED"
	required = " CDATA #REQUIRED"
	types    = " (string | int8 | uint8 | int16 | uint16 | int32 | uint32 | float | double | timestamp) #REQUIRED"
	slopes   = " (zero | positive | negative | both | unspecified) #IMPLIED"
	byGmond  = " (gmond) 'gmond'"
)

// documentType is the interface of gmond and gmetad 3.7. Readers that validate need it; others skip it.
var documentType = []element{
	{"GANGLIA_XML", "(GRID|CLUSTER|HOST)*", []string{"VERSION", "SOURCE"}},
	{"GRID", "(CLUSTER | GRID | HOSTS | METRICS)*", []string{"NAME", "AUTHORITY", "LOCALTIME" + implied}},
	{"CLUSTER", "(HOST | HOSTS | METRICS)*", []string{"NAME", "OWNER" + implied, "LATLONG" + implied, "URL" + implied, "LOCALTIME"}},
	{"HOST", "(METRIC)*", []string{
		"NAME", "IP", "LOCATION" + implied, "TAGS" + implied, "REPORTED", "TN" + implied, "TMAX" + implied, "DMAX" + implied, "GMOND_STARTED" + implied,
	}},
	{"METRIC", "(EXTRA_DATA*)", []string{
		"NAME", "VAL", "TYPE" + types, "UNITS" + implied, "TN" + implied, "TMAX" + implied, "DMAX" + implied, "SLOPE" + slopes, "SOURCE" + byGmond,
	}},
	{"EXTRA_DATA", "(EXTRA_ELEMENT*)", nil},
	{"EXTRA_ELEMENT", "EMPTY", []string{"NAME", "VAL"}},
	{"HOSTS", "EMPTY", []string{"UP", "DOWN", "SOURCE (gmond | gmetad) #REQUIRED"}},
	{"METRICS", "(EXTRA_DATA*)", []string{"NAME", "SUM", "NUM", "TYPE" + types, "UNITS" + implied, "SLOPE" + slopes, "SOURCE" + byGmond}},
}

// preamble is what stands before GANGLIA_XML.
var preamble = writePreamble()

func writePreamble() string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>` + "\n<!DOCTYPE GANGLIA_XML [\n")
	for _, e := range documentType {
		b.WriteString("   <!ELEMENT " + e.name + " " + e.content + ">\n")
		for _, a := range e.attributes {
			if !strings.Contains(a, " ") {
				a += required
			}
			b.WriteString("      <!ATTLIST " + e.name + " " + a + ">\n")
		}
	}
	b.WriteString("]>\n")
	return b.String()
}
