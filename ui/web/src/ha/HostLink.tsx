import { Link } from "react-router";
import { hostPath } from "../kit/path";

export function HostLink({ cluster, host }: { cluster: string; host: string }) {
  return <Link to={hostPath(cluster, host)} title={`${cluster}/${host}`}>{host}</Link>;
}
