/** The map itself: takes features by name, keeps them through a change of theme. */

import {
  type GeoJSONSource,
  Map as GlMap,
  type MapMouseEvent,
  ScaleControl,
} from "maplibre-gl";
import type { Bounds } from "./features";
import { addMarks, drawWords } from "./images";
import { PALETTES, type Theme } from "./palette";
import { EMPTY, SOURCES, type SourceName, plainStyle } from "./style";

/** Quảng Ninh, before a vehicle or route is known. */
const HOME: [number, number] = [107.2, 21.1];
const PICK_PX = 8;

export class MapView {
  private readonly map: GlMap;
  private readonly data = new Map<SourceName, GeoJSON.FeatureCollection>();
  private ready = false;
  private draw: ((e: { id: string }) => void) | undefined;

  /** Throws where the browser has no WebGL. */
  constructor(
    container: HTMLElement,
    private theme: Theme,
    private readonly onPick: (vehicle: string) => void,
    private readonly onDrawn: (vehiclesInView: number) => void,
  ) {
    this.map = new GlMap({
      container,
      style: plainStyle(PALETTES[theme]),
      center: HOME,
      zoom: 8,
      minZoom: 3,
      maxZoom: 18,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      fadeDuration: 0,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.map.addControl(new ScaleControl({ unit: "metric" }), "bottom-right");
    this.map.on("style.load", () => this.dress());
    this.map.on("click", (e) => this.pick(e));
    this.map.on("mousemove", (e) => {
      this.map.getCanvas().style.cursor = this.at(e) ? "pointer" : "";
    });
    this.map.on("idle", () => {
      this.onDrawn(this.map.queryRenderedFeatures({ layers: ["vehicles"] }).length);
    });
  }

  set(source: SourceName, data: GeoJSON.FeatureCollection): void {
    this.data.set(source, data);
    if (this.ready) this.map.getSource<GeoJSONSource>(source)?.setData(data);
  }

  wear(theme: Theme): void {
    if (theme === this.theme) return;
    this.theme = theme;
    this.ready = false;
    this.map.setStyle(plainStyle(PALETTES[theme]), { diff: false });
  }

  show(box: Bounds, closest = 15): void {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map.fitBounds(box, { padding: 56, maxZoom: closest, duration: still ? 0 : 600 });
  }

  /** Brings a place into view where it is not. */
  reveal(lon: number, lat: number): void {
    if (!this.map.getBounds().contains([lon, lat])) this.map.panTo([lon, lat]);
  }

  describe(text: string): void {
    this.map.getCanvas().setAttribute("aria-label", text);
  }

  zoom(by: number): void {
    this.map.zoomTo(this.map.getZoom() + by);
  }

  remove(): void {
    this.map.remove();
  }

  /** A new style has no images and no data. */
  private dress(): void {
    const palette = PALETTES[this.theme];
    if (this.draw) this.map.off("styleimagemissing", this.draw);
    this.draw = drawWords(this.map, palette);
    this.map.on("styleimagemissing", this.draw);
    addMarks(this.map, palette);
    this.ready = true;
    for (const source of SOURCES) this.set(source, this.data.get(source) ?? EMPTY);
  }

  private at(e: MapMouseEvent): string | undefined {
    const { x, y } = e.point;
    const found = this.map.queryRenderedFeatures(
      [
        [x - PICK_PX, y - PICK_PX],
        [x + PICK_PX, y + PICK_PX],
      ],
      { layers: ["vehicles", "plates"] },
    );
    return found[0]?.properties.id as string | undefined;
  }

  private pick(e: MapMouseEvent): void {
    const vehicle = this.at(e);
    if (vehicle) this.onPick(vehicle);
  }
}
