// The ways through the app: a column at the side, or a bar under the thumb.
import { Menu } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { NavLink, useLocation, useNavigate } from "react-router";
import { useOverview, useSignOut } from "../api/queries";
import { MoreIcon, ProfileIcon, SearchIcon } from "../kit/icons";
import { Logo } from "./Logo";
import { places, type Place } from "./places";
import { LanguageSwitch, SchemeSwitch } from "./Switches";
import { useMay, useMe } from "./session";

function usePlaces(): Place[] {
  const admin = useMay("admin");
  return places.filter((place) => place.role !== "admin" || admin);
}

// Count is what stands behind Alerts: problems that nobody has acknowledged yet, as far as they are known.
function Count() {
  const { t } = useTranslation();
  const totals = useOverview().data?.problems_total;
  if (!totals) return null;
  const open = totals.critical + totals.warning + totals.unknown;
  if (open === 0) return null;
  const tone = totals.critical > 0 ? "critical" : totals.unknown > 0 ? "unknown" : "warning";
  return <span className="kw-count" data-tone={tone} aria-label={t("nav.open", { count: open })}>{open}</span>;
}

function Item({ place }: { place: Place }) {
  const { t } = useTranslation();
  const Icon = place.icon;
  return (
    <NavLink to={place.to} end={place.to === "/"} className="kw-nav-item" title={t(place.word)}>
      <Icon />
      <span>{t(place.word)}</span>
      {place.to === "/alerts" && <Count />}
    </NavLink>
  );
}

export function SideNav({ onSearch }: { onSearch: () => void }) {
  const { t } = useTranslation();
  const me = useMe();
  const out = useSignOut();
  return (
    <nav className="kw-nav" aria-label={t("nav.label")}>
      <NavLink to="/" className="kw-brand"><Logo /> <span className="kw-brand-word">Keepwatch</span></NavLink>
      <button type="button" className="kw-nav-search" title={t("nav.search")} onClick={onSearch}>
        <SearchIcon /> <span>{t("nav.search")}</span> <kbd>/</kbd>
      </button>
      {usePlaces().filter((place) => place.to !== "/profile").map((place) => <Item key={place.to} place={place} />)}
      <div className="kw-nav-foot">
        <div className="kw-line"><SchemeSwitch /><LanguageSwitch /></div>
        <NavLink to="/profile" className="kw-nav-item" title={t("nav.profile")}><ProfileIcon /><span className="kw-clip">{me.full_name || me.name}</span></NavLink>
        <button type="button" className="kw-nav-out" onClick={() => out.mutate()}>{t("nav.signOut")}</button>
      </div>
    </nav>
  );
}

export function ThumbNav({ onSearch }: { onSearch: () => void }) {
  const { t } = useTranslation();
  const all = usePlaces();
  return (
    <>
      <header className="kw-top">
        <NavLink to="/" className="kw-brand"><Logo /> <span className="kw-brand-word">Keepwatch</span></NavLink>
        <span className="kw-grow" />
        <button type="button" className="kw-top-button" aria-label={t("nav.search")} onClick={onSearch}><SearchIcon /></button>
      </header>
      <nav className="kw-thumb" aria-label={t("nav.label")}>
        {all.filter((place) => place.thumb).map((place) => <Item key={place.to} place={place} />)}
        <More rest={all.filter((place) => !place.thumb)} />
      </nav>
    </>
  );
}

function More({ rest }: { rest: Place[] }) {
  const { t } = useTranslation();
  const out = useSignOut();
  const navigate = useNavigate();
  const here = useLocation().pathname;
  const active = rest.some((place) => here.startsWith(place.to));
  return (
    <Menu position="top-end" width={220}>
      <Menu.Target>
        <button type="button" className={active ? "kw-nav-item active" : "kw-nav-item"}><MoreIcon /><span>{t("nav.more")}</span></button>
      </Menu.Target>
      <Menu.Dropdown>
        {rest.map(({ to, word, icon: Icon }) => (
          <Menu.Item key={to} leftSection={<Icon />} onClick={() => void navigate(to)}>{t(word)}</Menu.Item>
        ))}
        <Menu.Divider />
        <div className="kw-line kw-menu-switches"><SchemeSwitch /><LanguageSwitch /></div>
        <Menu.Divider />
        <Menu.Item onClick={() => out.mutate()}>{t("nav.signOut")}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
