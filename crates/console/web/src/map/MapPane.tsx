/** The map in the page: what the stores hold, drawn; its buttons and its legend. */

import { type RefObject, useEffect, useRef, useState } from "react";
import { api } from "../api/client";
import { type Key, useTranslator } from "../i18n";
import { Icon, type IconName } from "../panels/Icon";
import { cursor, shown, theme } from "../state/app";
import { fleet } from "../state/fleet";
import { go, route } from "../state/route";
import { useStore } from "../state/store";
import { bounds, trackFeatures, vehicleFeatures } from "./features";
import { EMPTY } from "./style";
import { MapView } from "./view";

const REGISTERS = ["routes", "zones", "signs"] as const;

export function MapPane() {
  const t = useTranslator();
  const place = useRef<HTMLDivElement>(null);
  const { view, failed, inView } = useView(place);
  const track = useStore(shown);
  useRegisters(view);
  useVehicles(view);
  useTrack(view);
  useEffect(() => {
    const n = track?.points.length;
    const words = [t("map.summary", { n: inView }), n ? t("map.track", { n }) : ""];
    view?.describe(words.filter(Boolean).join(", "));
  }, [view, inView, track, t]);
  if (failed) return <section className="map failed">{t("map.failed")}</section>;
  return (
    <section className="map" aria-label={t("map.label")}>
      <div className="map-ground" ref={place} />
      <div className="map-buttons">
        <MapButton name="map.zoomIn" icon="plus" onClick={() => view?.zoom(1)} />
        <MapButton name="map.zoomOut" icon="minus" onClick={() => view?.zoom(-1)} />
        <MapButton name="map.all" icon="frame" onClick={() => showAll(view)} />
      </div>
      <Legend />
    </section>
  );
}

function MapButton(of: { name: Key; icon: IconName; onClick: () => void }) {
  const t = useTranslator();
  const name = t(of.name);
  return (
    <button type="button" title={name} aria-label={name} onClick={of.onClick}>
      <Icon name={of.icon} />
    </button>
  );
}

function Legend() {
  const t = useTranslator();
  const track = useStore(shown);
  return (
    <ul className="legend" aria-label={t("map.legend")}>
      <li data-mark="moving">{t("motion.moving")}</li>
      <li data-mark="stopped">{t("motion.stopped")}</li>
      <li data-mark="silent">{t("motion.silent")}</li>
      <li data-mark="route">{t("map.route")}</li>
      <li data-mark="sign">{t("map.sign")}</li>
      <li data-mark="zone">{t("map.zone")}</li>
      {track?.violation && <li data-mark="over">{t("map.over")}</li>}
    </ul>
  );
}

function useView(place: RefObject<HTMLDivElement | null>) {
  const [view, setView] = useState<MapView>();
  const [failed, setFailed] = useState(false);
  const [inView, setInView] = useState(0);
  const worn = useStore(theme);
  useEffect(() => {
    if (!place.current) return;
    const pick = (id: string) => go({ at: "vehicle", id });
    try {
      const made = new MapView(place.current, theme.get(), pick, setInView);
      setView(made);
      return () => made.remove();
    } catch {
      setFailed(true);
      return;
    }
  }, [place]);
  useEffect(() => view?.wear(worn), [view, worn]);
  return { view, failed, inView };
}

/** Routes, zones and signs: the ground that is known here. */
function useRegisters(view: MapView | undefined): void {
  useEffect(() => {
    if (!view) return;
    let gone = false;
    for (const kind of REGISTERS) {
      api
        .register(kind)
        .then((data) => !gone && view.set(kind, data))
        // The map is of use without them, and the status bar says when the server is away.
        .catch(() => undefined);
    }
    return () => {
      gone = true;
    };
  }, [view]);
}

function useVehicles(view: MapView | undefined): void {
  const vehicles = useStore(fleet);
  const at = useStore(route);
  const framed = useRef(false);
  const chosen = at.at === "vehicle" ? at.id : null;
  useEffect(() => {
    if (!view) return;
    view.set("vehicles", vehicleFeatures(vehicles.values(), chosen));
    // Once, when the first vehicles are known, and not over a track that was asked for.
    if (framed.current || vehicles.size === 0) return;
    framed.current = true;
    if (!shown.get()) showAll(view);
  }, [view, vehicles, chosen]);
}

function useTrack(view: MapView | undefined): void {
  const track = useStore(shown);
  const point = useStore(cursor);
  useEffect(() => {
    if (!view) return;
    const { points, violation, joinGaps } = track ?? { points: [], violation: null, joinGaps: false };
    view.set("track", trackFeatures(points, violation, joinGaps));
    const box = bounds(points.filter((p) => p.valid).map((p) => [p.lon, p.lat]));
    if (box) view.show(box);
  }, [view, track]);
  useEffect(() => {
    if (!view) return;
    if (!point) return view.set("cursor", EMPTY);
    const { lon, lat } = point.point;
    view.set("cursor", {
      type: "FeatureCollection",
      features: [
        {
          type: "Feature",
          geometry: { type: "Point", coordinates: [lon, lat] },
          properties: { over: point.over },
        },
      ],
    });
    view.reveal(lon, lat);
  }, [view, point]);
}

function showAll(view: MapView | undefined): void {
  const places = [...fleet.get().values()].flatMap((v): [number, number][] =>
    v.lon !== null && v.lat !== null ? [[v.lon, v.lat]] : [],
  );
  const box = bounds(places);
  if (box) view?.show(box, 12);
}
