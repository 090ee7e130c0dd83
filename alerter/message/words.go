package message

import (
	"fmt"
	"strings"
	"time"

	"keepwatch/alerter/rule"
	"keepwatch/metric"
)

// words is one language.
type words struct {
	code         string
	colon, comma string
	states       map[rule.State]string
	on           string // threshold, host
	still        string // state
	since, after string // duration
	over         string // duration
	silent       string // duration
	lastValue    string // value
	limitIs      string // state, bounds
	cluster      string // host, cluster

	what, where, valueName, threshold, sinceName, until, lasted string

	closed           map[Closed]string
	closedState      string
	happened, open   string
	footer           string
	test             string
	testSubject      string
	testText         string // contact
	bracketL         string
	bracketR         string
	above, below     string // bound
	outside, between string // low, high
	atLeast, atMost  string // bound
	exactly, always  string
	units            [5]string // day, hour, minute, second, millisecond: short
	kinds            map[metric.EventKind]string
}

func in(language string) *words {
	if language == "zh" {
		return &chinese
	}
	return &english
}

var english = words{
	code: "en", colon: ": ", comma: ", ",
	states: map[rule.State]string{rule.OK: "OK", rule.Warning: "WARNING", rule.Critical: "CRITICAL", rule.Unknown: "UNKNOWN"},
	on:     "%[1]s on %[2]s", still: "STILL %s", since: "for %s", after: "after %s", over: "over after %s",
	silent: "no data for %s", lastValue: "last value %s", limitIs: "%s is %s", cluster: "%s (cluster %s)",
	what: "What", where: "Where", valueName: "Value", threshold: "Threshold", sinceName: "Since", until: "Until", lasted: "Lasted",
	closed: map[Closed]string{
		RuleDeleted: "its threshold was deleted", RuleDisabled: "its threshold was switched off",
		RuleChanged:   "its threshold was changed and no longer covers this series",
		SilenceFine:   "its threshold was changed and no longer minds silence",
		HostForgotten: "the host is forgotten; that is no recovery",
	},
	closedState: "CLOSED", happened: "What happened around that time", open: "Open in Keepwatch", footer: "Sent by Keepwatch.",
	test: "TEST", testSubject: "Keepwatch: test message", testText: "This is a test message for %s. Notifications of Keepwatch arrive here.",
	bracketL: " (", bracketR: ")",
	above: "above %s", below: "below %s", outside: "below %s or above %s", between: "between %s and %s",
	atLeast: "%s or more", atMost: "%s or less", exactly: "exactly %s", always: "any value",
	units: [5]string{" d", " h", " min", " s", " ms"},
}

var chinese = words{
	code: "zh", colon: "：", comma: "，",
	states: map[rule.State]string{rule.OK: "正常", rule.Warning: "警告", rule.Critical: "严重", rule.Unknown: "未知"},
	on:     "%[2]s %[1]s", still: "仍然%s", since: "已持续 %s", after: "持续了 %s", over: "已恢复，持续了 %s",
	silent: "已 %s没有数据", lastValue: "最后值 %s", limitIs: "%s：%s", cluster: "%s（集群 %s）",
	what: "指标", where: "位置", valueName: "当前值", threshold: "阈值", sinceName: "开始", until: "结束", lasted: "持续",
	closed: map[Closed]string{
		RuleDeleted: "阈值已被删除", RuleDisabled: "阈值已停用",
		RuleChanged: "阈值已修改，不再涵盖此序列", SilenceFine: "阈值已修改，不再监视数据中断",
		HostForgotten: "主机已被移除，并非恢复正常",
	},
	closedState: "已关闭", happened: "同一时间发生的事件", open: "在 Keepwatch 中打开", footer: "由 Keepwatch 发送。",
	test: "测试", testSubject: "Keepwatch：测试消息", testText: "这是发给 %s 的测试消息。Keepwatch 的通知会送到这里。",
	bracketL: "（", bracketR: "）",
	above: "高于 %s", below: "低于 %s", outside: "低于 %s 或高于 %s", between: "介于 %s 和 %s 之间",
	atLeast: "不低于 %s", atMost: "不高于 %s", exactly: "等于 %s", always: "任何值",
	units: [5]string{" 天", " 小时", " 分钟", " 秒", " 毫秒"},
	kinds: map[metric.EventKind]string{
		metric.EventVRRPTransition: "VRRP 状态变化", metric.EventVIPTaken: "接管 VIP", metric.EventVIPReleased: "释放 VIP",
		metric.EventVIPConflict: "VIP 冲突", metric.EventVIPConflictEnded: "VIP 冲突结束",
		metric.EventServerUp: "后端服务器恢复", metric.EventServerDown: "后端服务器故障", metric.EventProxyStarted: "代理启动",
		metric.EventProxyStopped: "代理停止", metric.EventTrackChanged: "跟踪项变化", metric.EventConfigReloaded: "配置已重新加载",
		metric.EventHostJoined: "主机加入", metric.EventHostLost: "主机失联", metric.EventHostForgotten: "主机已被移除", metric.EventAggregatorLost: "汇聚节点失联",
		metric.EventHostConflict: "主机名冲突", metric.EventMetricRetyped: "指标类型变化", metric.EventCollectorDropped: "采集器丢弃数据",
		metric.EventSourceLost: "Ganglia 数据源失联", metric.EventSourceFound: "Ganglia 数据源恢复", metric.EventClockSkew: "时钟偏差",
		metric.EventCheckDown: "检查失败", metric.EventCheckUp: "检查恢复",
	},
}

func (w *words) bracket(s string) string { return w.bracketL + s + w.bracketR }

// eventText is an event in one line. Its own text is in the language of the field; the kind before it is not.
func (w *words) eventText(e Event) string {
	text := oneLine(shorten(e.Text, 300, "…"))
	if kind := w.kinds[e.Kind]; kind != "" {
		return kind + w.colon + text
	}
	return text
}

// duration writes the two largest parts of d.
func (w *words) duration(d time.Duration) string {
	if d > 0 && d < time.Second {
		return fmt.Sprintf("%d%s", d.Milliseconds(), w.units[4])
	}
	n := int64(d / time.Second)
	var parts []string
	for i, size := range []int64{86400, 3600, 60, 1} {
		if n >= size && len(parts) < 2 {
			parts = append(parts, fmt.Sprintf("%d%s", n/size, w.units[i]))
		} else if len(parts) > 0 {
			break
		}
		n %= size
	}
	if len(parts) == 0 {
		return "0" + w.units[3]
	}
	return strings.Join(parts, " ")
}
