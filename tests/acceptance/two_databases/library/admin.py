"""The pages of books and loans."""

from django.contrib import admin

from library.models import Book, Loan

admin.site.register(Book)


@admin.register(Loan)
class LoanAdmin(admin.ModelAdmin):
    """A form cannot assign what is in another database; a list may show it."""

    exclude = ("borrower",)
    list_display = ("book", "borrower")
