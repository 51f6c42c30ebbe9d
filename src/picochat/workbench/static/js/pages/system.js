// The machine and this page: what doctor says, versions, and what can be set.
import { html } from "../html.js";
import { useResource } from "../live.js";
import { PageHead } from "../parts/page.js";
import { Resource } from "../parts/states.js";

export default function Page() {
  const doctor = useResource("api/doctor");
  return html`<${PageHead} title="System" /><${Resource} of=${doctor}>${() => html`<p>ok</p>`}<//>`;
}
