// The frame around every page: navigation, the state of the connection, search and keys. It holds the live stream.
import "./shell.css";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Outlet, ScrollRestoration, useNavigate, useNavigation } from "react-router";
import { startLive } from "../api/live";
import { useOverview, useSession } from "../api/queries";
import type { Me } from "../api/types";
import { speak } from "../i18n";
import { useKeys, type Keys } from "../kit/keys";
import { Trouble } from "../kit/Page";
import { usePhone } from "../kit/phone";
import { Search } from "../search/Search";
import { SignIn } from "../signin/SignIn";
import { ConnectionBanner } from "./ConnectionBanner";
import { Help } from "./Help";
import { SideNav, ThumbNav } from "./Nav";
import { places } from "./places";
import { MeContext, useMay } from "./session";

// Shell guards the app: without a session there is only the sign-in, at the address that was asked for.
export function Shell() {
  const session = useSession();
  if (session.data === undefined) {
    return session.error ? <main className="kw-lost"><Trouble error={session.error} again={() => void session.refetch()} /></main> : null;
  }
  if (session.data === null) return <SignIn />;
  return (
    <MeContext value={session.data}>
      <Inside me={session.data} />
    </MeContext>
  );
}

function Inside({ me }: { me: Me }) {
  const queries = useQueryClient();
  const { t } = useTranslation();
  const phone = usePhone();
  const moving = useNavigation().state !== "idle";
  const [open, setOpen] = useState<"search" | "help" | null>(null);
  useEffect(() => startLive(queries), [queries]);
  useEffect(() => {
    if (me.language !== "") void speak(me.language);
  }, [me.language]);
  useGoKeys(setOpen);
  return (
    <div className="kw-shell">
      <a className="kw-skip" href="#page">{t("nav.skip")}</a>
      <CriticalInTab />
      {phone ? <ThumbNav onSearch={() => setOpen("search")} /> : <SideNav onSearch={() => setOpen("search")} />}
      <main id="page" tabIndex={-1} data-moving={moving || undefined}>
        <ConnectionBanner />
        <div className="kw-content">
          <Outlet />
        </div>
      </main>
      {open === "search" && <Search onClose={() => setOpen(null)} />}
      {open === "help" && <Help onClose={() => setOpen(null)} />}
      <ScrollRestoration />
    </div>
  );
}

function useGoKeys(setOpen: (what: "search" | "help") => void) {
  const navigate = useNavigate();
  const admin = useMay("admin");
  const keys: Keys = { "/": () => setOpen("search"), "?": () => setOpen("help") };
  for (const place of places) {
    if (place.role !== "admin" || admin) keys[`g ${place.key}`] = () => void navigate(place.to);
  }
  useKeys(keys);
}

// CriticalInTab puts the number of critical problems before the title, for those with forty tabs.
function CriticalInTab() {
  const critical = useOverview().data?.problems_total.critical ?? 0;
  useEffect(() => {
    const mark = () => {
      const bare = document.title.replace(/^\(\d+\) /, "");
      const wanted = critical > 0 ? `(${critical}) ${bare}` : bare;
      if (document.title !== wanted) document.title = wanted;
    };
    mark();
    const observer = new MutationObserver(mark);
    const title = document.querySelector("title");
    if (title) observer.observe(title, { childList: true });
    return () => observer.disconnect();
  }, [critical]);
  return null;
}
