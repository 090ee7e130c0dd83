// Who is signed in, and what they may do. Components ask useMay; the server asks again.
import { createContext, useContext } from "react";
import type { Me, Role } from "../api/types";

const rank: Record<Role, number> = { viewer: 1, operator: 2, admin: 3 };

export const MeContext = createContext<Me | null>(null);

export function useMe(): Me {
  const me = useContext(MeContext);
  if (!me) throw new Error("no session here");
  return me;
}

export const useMay = (role: Role) => rank[useMe().role] >= rank[role];
