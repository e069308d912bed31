/** Threads in MySQL and MariaDB: pools of `mysql2/promise`. */
export { createMySqlStore } from "./lib/stores/mysql.ts";
export type { MySqlClient, MySqlResult, MySqlStore, MySqlStoreOptions } from "./lib/stores/mysql.ts";
export { mysqlSchema } from "./lib/stores/mysql-schema.ts";
export type { MySqlMigration, MySqlSchemaOptions } from "./lib/stores/mysql-schema.ts";
