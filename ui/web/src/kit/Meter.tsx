import { figure } from "../charts/units";

// Meter is a share of a whole: the number, and behind it how far it reaches. Neutral: whether it is too much is what
// thresholds say.
export function Meter({ ratio }: { ratio: number | null }) {
  if (ratio === null) return <span className="kw-dim">–</span>;
  const share = Math.max(0, Math.min(1, ratio));
  return (
    <span className="kw-meter" style={{ backgroundSize: `${share * 100}% 100%` }}>{figure(Math.round(ratio * 1000) / 1000, "ratio")}</span>
  );
}
