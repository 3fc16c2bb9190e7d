"""The pages of customers."""

from django.contrib import admin

from crm.models import Customer

admin.site.register(Customer)
