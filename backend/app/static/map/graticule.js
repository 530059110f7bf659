/** Meridians and parallels: the page asks no other host for a background. */

const STEPS = [30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
const LINES = 5; // about so many across the map

/** GeoJSON of the lines across `[west, south, east, north]`. */
export function graticule([west, south, east, north]) {
  const step = STEPS.find((degrees) => (east - west) / degrees >= LINES) ?? STEPS.at(-1);
  const digits = Math.max(0, Math.ceil(-Math.log10(step)));
  const features = [];
  const add = (degrees, ...coordinates) => {
    const label = `${degrees.toFixed(digits)}°`;
    features.push({ type: "Feature", properties: { label }, geometry: { type: "LineString", coordinates } });
  };
  const [low, high] = [Math.max(south, -85), Math.min(north, 85)];
  for (let lon = Math.ceil(west / step) * step; lon <= east; lon += step) {
    const turned = ((((lon + 180) % 360) + 360) % 360) - 180;
    add(turned, [lon, low], [lon, high]);
  }
  for (let lat = Math.ceil(low / step) * step; lat <= high; lat += step) {
    add(lat, [west, lat], [east, lat]);
  }
  return { type: "FeatureCollection", features };
}
