// Apollo Server with ApolloServerPluginUsageReporting, and the same server without it: operations are executed.
import { ApolloServer, HeaderMap } from "@apollo/server";
import { ApolloServerPluginUsageReportingDisabled } from "@apollo/server/plugin/disabled";
import { ApolloServerPluginUsageReporting } from "@apollo/server/plugin/usageReporting";
import { getNamedType, isListType, isNonNullType, isObjectType } from "graphql";

export const awaited = true;

const SCALARS = { ID: "42", String: "some text", Int: 7, Float: 1.5, OrderState: "PAID" };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export async function make({ schema, url }) {
  const server = async (plugin, apollo) => {
    const made = new ApolloServer({
      ...{ schema, rootValue: data(schema), plugins: [plugin], apollo, logger: quiet },
      ...{ nodeEnv: "production", stopOnTerminationSignals: false, introspection: true },
    });
    await made.start();
    return made;
  };
  const reporting = await server(ApolloServerPluginUsageReporting({ endpointUrl: url }), {
    key: "service:bench:key",
    graphRef: "bench@current",
  });
  const bare = await server(ApolloServerPluginUsageReportingDisabled(), {});
  return {
    record: (request) => execute(reporting, request),
    empty: (request) => execute(bare, request),
    close: async () => {
      await new Promise((ready) => setTimeout(ready, 100)); // traces are added after the answer
      await reporting.stop();
      await bare.stop();
    },
  };
}

async function execute(server, { source, name, variables, client, version }) {
  const headers = new HeaderMap([
    ["apollographql-client-name", client],
    ["apollographql-client-version", version],
  ]);
  const { body } = await server.executeOperation({
    ...{ query: source, operationName: name, variables },
    http: { method: "POST", headers, search: "", body: {} },
  });
  if (body.singleResult.errors) throw body.singleResult.errors[0];
}

// One object of each type, whose fields hold one another; a list holds two.
function data(schema) {
  const types = Object.values(schema.getTypeMap()).filter((type) => isObjectType(type) && !type.name.startsWith("__"));
  const made = new Map(types.map((type) => [type.name, {}]));
  for (const type of types)
    for (const { name, type: holds } of Object.values(type.getFields())) {
      const named = getNamedType(holds).name;
      const value = made.get(named) ?? SCALARS[named];
      made.get(type.name)[name] = isListType(isNonNullType(holds) ? holds.ofType : holds) ? [value, value] : value;
    }
  return made.get("Query");
}
