-- One database and one role for each service, run once by the image when its volume is new.
-- A role may connect to its own database only: a service that reads another's tables fails on its first try.

\getenv order_password ORDER_DB_PASSWORD
\getenv inventory_password INVENTORY_DB_PASSWORD
\getenv payment_password PAYMENT_DB_PASSWORD
\getenv shipping_password SHIPPING_DB_PASSWORD

create role "order" login password :'order_password';
create role inventory login password :'inventory_password';
create role payment login password :'payment_password';
create role shipping login password :'shipping_password';

create database waybill_order owner "order";
create database waybill_inventory owner inventory;
create database waybill_payment owner payment;
create database waybill_shipping owner shipping;

-- Everybody may connect to a new database until this is taken back; the owner and the superuser keep it.
revoke connect, temporary on database waybill_order, waybill_inventory, waybill_payment, waybill_shipping, postgres
    from public;
