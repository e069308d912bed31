import { C1Chat } from "@thesysai/genui-sdk";
import { createRoot } from "react-dom/client";

// C1Chat leaves the promise of a broken answer to nobody.
addEventListener("unhandledrejection", (event) => event.preventDefault());

const root = document.getElementById("root");
if (root) createRoot(root).render(<C1Chat apiUrl="/api/chat" agentName="C1" logoUrl="data:," />);
